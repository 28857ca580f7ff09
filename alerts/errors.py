"""What alerts' actions refuse. Every message says what is wrong and what to do, and may be shown as it is."""

from __future__ import annotations

from tenants.errors import RefusedError


class InvalidChannelError(RefusedError):
    """A name or an address that cannot be used."""


class NoSuchChannelError(RefusedError):
    """A channel that is not there, or was removed."""


class NotWaitingError(RefusedError):
    """A delivery that cannot be sent again, because it has arrived or is on its way."""
