"""GET /health: is this gateway alive, how fresh is what it knows, can it store what it must."""

from __future__ import annotations

import math
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
    serving = queue_ok and not mirror.expired
    kv_ok = mirror.source == "store"
    status = "ok" if serving and kv_ok and prices.version else "degraded" if serving else "failing"
    body = {
        "status": status,
        "env": settings.env,
        "kv_ok": kv_ok,
        "kv_source": mirror.source,
        "kv_problem": mirror.problem,
        "kv_age_ms": round(mirror.age * 1000) if math.isfinite(mirror.age) else None,
        "kv_stale_ms": settings.kv_stale * 1000,
        "kv_unconfirmed": mirror.doubted,
        "documents": len(policies),
        "price_version": prices.version,
        "queue_ok": queue_ok,
        "queue_pending": outbox.pending,
        "sandbox": sorted(provider.name for provider in settings.providers.values() if provider.sandbox),
    }
    return Report(200 if serving else 503, msgspec.json.encode(body))
