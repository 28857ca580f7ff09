"""Models that a tenant called and that have no price."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from spend.clickhouse.client import ask

DAYS = 30

_SQL = f"""
SELECT model_asked, provider, count() AS calls, sum(input_tokens + output_tokens), min(ts), max(ts)
FROM usage_events FINAL
WHERE tenant_id = %(tenant_id)s AND ts >= now() - INTERVAL {DAYS} DAY AND isNull(cost)
GROUP BY model_asked, provider
ORDER BY calls DESC, model_asked, provider
"""  # noqa: S608 - a constant


class UnpricedModel(NamedTuple):
    """A model without a price, with its use in the last 30 days."""

    model: str
    provider: str
    requests: int
    tokens: int
    first_seen: datetime
    last_seen: datetime


def unpriced_models(tenant_id: str) -> list[UnpricedModel]:
    """A tenant's unpriced models, the most used first."""
    return [UnpricedModel(*row) for row in ask(_SQL, tenant_id=tenant_id, purpose="unpriced models")]
