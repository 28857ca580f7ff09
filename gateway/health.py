"""GET /health: is this gateway alive, how fresh is what it knows, can it store what it must."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from gateway.config import Settings
from gateway.mirror import Mirror
from gateway.outbox import Outbox
from gateway.policies import Policies
from gateway.pricebook import Prices


class Report(NamedTuple):
    """A health report: 503 only when calls are being refused, so that a balancer sends them elsewhere."""

    http_status: int
    body: bytes


def health(settings: Settings, mirror: Mirror, policies: Policies, prices: Prices, outbox: Outbox) -> Report:
    """What holds at this moment. "degraded" means: calls pass, but something needs a look."""
    queue_ok = outbox.ready
    kv_ok = not mirror.stale
    status = "ok" if queue_ok and kv_ok and prices.version else "degraded" if queue_ok else "failing"
    body = {
        "status": status,
        "env": settings.env,
        "kv_ok": kv_ok,
        "kv_age_ms": round(mirror.age * 1000),
        "documents": len(policies),
        "price_version": prices.version,
        "queue_ok": queue_ok,
        "queue_pending": outbox.pending,
        "sandbox": sorted(provider.name for provider in settings.providers.values() if provider.sandbox),
    }
    return Report(200 if queue_ok else 503, msgspec.json.encode(body))
