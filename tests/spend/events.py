"""Usage and denial events for tests: complete, valid, and different where a test says so."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime
from typing import Any

from spend.zones import ms_of
from wire.events import DenialEvent, Denied, UsageEvent

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TENANT = "t_acme00001"


def event_id(ms: int, number: int = 0) -> str:
    """A UUIDv7 of a moment; the same for the same number."""
    dice = random.Random(f"{ms} {number}")
    return str(uuid.UUID(int=(ms << 80) | (7 << 76) | (dice.getrandbits(12) << 64) | (2 << 62) | dice.getrandbits(62)))


def usage(number: int = 0, at: datetime = NOON, **fields: Any) -> UsageEvent:
    """A call; events of the same moment and number are the same event."""
    ms = fields.pop("ts", ms_of(at))
    known: dict[str, Any] = {
        "event_id": event_id(ms, number),
        "ts": ms,
        "env": "dev",
        "tenant": TENANT,
        "project": "p_checkout01",
        "key": "k_web",
        "route": "/v1/chat/completions",
        "provider": "openai",
        "model_asked": "gpt-4o-mini",
        "model_priced": "gpt-4o-mini",
        "units": {"input": 21, "output": 64},
        "price_version": 1,
        "cost": "0.000041550000",
        "charge": "0.000041550000",
        "http_status": 200,
        "ttfb_ms": 120,
        "duration_ms": 840,
    }
    return UsageEvent(**(known | fields))


def unpriced(number: int = 0, at: datetime = NOON, **fields: Any) -> UsageEvent:
    """A call of a model that has no price."""
    return usage(number, at, **({"model_asked": "acme-7b", "model_priced": "", "cost": None, "charge": None} | fields))


def denial(number: int = 0, at: datetime = NOON, **fields: Any) -> DenialEvent:
    """A refused call."""
    ms = fields.pop("ts", ms_of(at))
    known: dict[str, Any] = {
        "event_id": event_id(ms, number),
        "ts": ms,
        "env": "dev",
        "tenant": TENANT,
        "project": "p_checkout01",
        "key": "k_web",
        "route": "/v1/chat/completions",
        "model_asked": "gpt-4o-mini",
        "reason": Denied.BUDGET_EXHAUSTED,
        "http_status": 402,
    }
    return DenialEvent(**(known | fields))
