"""What tenants' actions refuse. Every message says what is wrong and what to do, and may be shown as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class RefusedError(Exception):
    """A change that cannot be made. `field` names the input at fault, "" when it is no single one."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidNameError(RefusedError):
    """A name that is empty, too long, or has characters that cannot be read."""


class NameTakenError(RefusedError):
    """A name that another one bears already."""


class InvalidSettingError(RefusedError):
    """A time zone, currency, environment, expiry or policy that cannot be used."""


class AlreadyIssuedError(RefusedError):
    """The same form was sent again, as by reloading the page that shows the new key. `key_id` is the key it made."""

    def __init__(self, message: str, *, key_id: str) -> None:
        super().__init__(message)
        self.key_id = key_id


class StatusError(RefusedError):
    """A change that the object's status does not allow, such as enabling a revoked key."""


class StaleError(RefusedError):
    """Somebody else changed the object after it was read. `changed_by` says who, by field, where it is known."""

    def __init__(self, message: str, *, changed_by: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.changed_by = dict(changed_by or {})


class QuotaError(RefusedError):
    """There are as many keys or projects as there may be. The message says how many, and whom to ask."""


class Fault(NamedTuple):
    """What is wrong with one line of many. `line` counts from 1; `field` is the input at fault, "" for the whole."""

    line: int
    field: str
    message: str


class ManyRefusedError(RefusedError):
    """A change of many things of which some cannot be made, so that none was. `faults` says which, and why."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        lines = len({each.line for each in faults})
        super().__init__(
            f"Nothing was changed: {lines:,} line{'' if lines == 1 else 's'} cannot be taken. "
            f"Line {faults[0].line}: {faults[0].message}"
        )
        self.faults = tuple(faults)
