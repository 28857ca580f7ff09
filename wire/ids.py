"""Identifiers: short random ids for things people name, UUIDv7 for events."""

from __future__ import annotations

import os
import re
import secrets
import time
import uuid

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LOWER = "0123456789abcdefghijklmnopqrstuvwxyz"

_LOW_62 = 2**62 - 1

TENANT_ID = re.compile(r"^t_[0-9a-z]{6,24}$")


def event_id() -> str:
    """A new UUIDv7 (RFC 9562, section 5.7) as text: its first 48 bits are the arrival in milliseconds."""
    # The clock as it is, even after a step back: an event's day is that of its arrival. 74 bits are random.
    moment = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(10), "big")
    value = moment << 80 | 0x7 << 76 | (chance >> 68) << 64 | 0b10 << 62 | chance & _LOW_62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def event_id_ms(value: str) -> int:
    """The millisecond (Unix time) in which a UUIDv7 was made. Raises ValueError for any other id."""
    parsed = uuid.UUID(value)
    if parsed.version != 7:
        raise ValueError(f"{value} is not an event id: event ids are UUIDs of version 7.")
    return parsed.int >> 80


def short_id(prefix: str, length: int = 12) -> str:
    """A random id such as `t_4k2m…`; 12 characters hold 62 bits."""
    return f"{prefix}_" + "".join(secrets.choice(_LOWER) for _ in range(length))
