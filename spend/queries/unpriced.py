"""Models that a tenant called and that have no price."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone

from spend.clickhouse.client import ask
from spend.queries.filters import Conditions
from spend.zones import ms_of

DAYS = 30


class UnpricedModel(NamedTuple):
    """A model without a price, with its use in the last 30 days."""

    model: str
    provider: str
    requests: int
    tokens: int
    first_seen: datetime
    last_seen: datetime
    envs: list[str]


def unpriced_models(tenant_id: str, *, keys: Collection[str] | None = None) -> list[UnpricedModel]:
    """A tenant's unpriced models, the most used first. A model that only an override prices is not among them.

    `keys`: those whose calls may be seen; None means all.
    """
    now = timezone.now()
    where = Conditions().arrived(ms_of(now - timedelta(days=DAYS)), ms_of(now + timedelta(days=1)))
    where.keys(keys).add("isNull(charge) AND kind = 'call' AND calls > 0")
    sql = (
        "SELECT model_asked, provider, sum(calls) AS requests, sum(input_tokens + output_tokens), min(ts), max(ts),"  # noqa: S608
        f" arraySort(groupUniqArray(env)) FROM usage_events FINAL WHERE {where} GROUP BY model_asked, provider"
        " ORDER BY requests DESC, model_asked, provider"
    )
    return [UnpricedModel(*row) for row in ask(sql, where.parameters, tenant_id=tenant_id, purpose="unpriced models")]
