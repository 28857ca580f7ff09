"""Ids of events that stand for something said about another event."""

from __future__ import annotations

import hashlib
from uuid import UUID

DERIVED = 8  # the version of their UUIDs
_AT_VERSION = 14
_VERSION, _VARIANT = DERIVED << 76, 2 << 62
_RANDOM = (1 << 76) - 1 & ~(3 << 62)


def derived_id(what: str, ts: int, *names: str) -> str:
    """An event id that stands for something said about an event: the same for the same names.

    A UUID of version 8 that begins with the event's own moment (Unix ms) as a UUIDv7 does.
    """
    digest = hashlib.sha256("\x00".join((what, *names)).encode()).digest()
    return str(UUID(int=ts << 80 | int.from_bytes(digest[:10]) & _RANDOM | _VERSION | _VARIANT))


def arrived_ms(event_id: str, ts: int) -> int:
    """When a call arrived, Unix ms: for one that was booked late this is not its `ts`, which is where it is booked."""
    return UUID(event_id).int >> 80 if is_derived(event_id) else ts


def is_derived(event_id: str) -> bool:
    """Whether an event id, as a UUID is written, is one of these."""
    return event_id[_AT_VERSION : _AT_VERSION + 1] == str(DERIVED)
