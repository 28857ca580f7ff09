"""What publishing refuses."""

from __future__ import annotations


class NamespaceRefusedError(Exception):
    """A KV namespace that is not this environment's. Nothing was written; the message says what to do."""


class RepublishError(Exception):
    """Everything is being published anew already, or it is not. The message says what to do."""


class ReconcileBusyError(Exception):
    """Another run compares the same store just now."""


class NotHeldError(Exception):
    """What was confirmed is not held, or not any more: the message says what to do."""


class BackupError(Exception):
    """A backup that cannot be made, or must not be restored. The message says what to do."""
