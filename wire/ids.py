"""Identifiers: short random ids for things people name, UUIDv7 for events."""

from __future__ import annotations

import re
import secrets
import uuid

from uuid6 import uuid7

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LOWER = "0123456789abcdefghijklmnopqrstuvwxyz"

TENANT_ID = re.compile(r"^t_[0-9a-z]{6,24}$")


def event_id() -> str:
    """A new UUIDv7 (RFC 9562, section 5.7) as text: its first 48 bits are the arrival in milliseconds."""
    return str(uuid7())


def event_id_ms(value: str) -> int:
    """The millisecond (Unix time) in which a UUIDv7 was made. Raises ValueError for any other id."""
    parsed = uuid.UUID(value)
    if parsed.version != 7:
        raise ValueError(f"{value} is not an event id: event ids are UUIDs of version 7.")
    return parsed.int >> 80


def short_id(prefix: str, length: int = 12) -> str:
    """A random id such as `t_4k2m…`; 12 characters hold 62 bits."""
    return f"{prefix}_" + "".join(secrets.choice(_LOWER) for _ in range(length))
