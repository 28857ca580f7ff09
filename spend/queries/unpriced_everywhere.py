"""Models without a price, over all tenants: what somebody who sets prices has to know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import NamedTuple

from django.utils import timezone

from spend.clickhouse.client import ask
from spend.queries.rollup import counted_days

DAYS = 400


class UnpricedUse(NamedTuple):
    """What was used of a model without a price. Days are the tenants' own."""

    requests: int
    tokens: int
    tenants: int
    first: date
    last: date
    envs: list[str]


def unpriced_everywhere() -> Mapping[tuple[str, str], UnpricedUse]:
    """The unpriced use of the last 400 days by provider and model. Raises UnavailableError."""
    sql = (
        "SELECT provider, model, sum(unpriced_requests) AS calls, sum(unpriced_tokens), uniqExact(tenant_id),"  # noqa: S608
        " min(day), max(day), arraySort(groupUniqArray(env))"
        f" FROM {counted_days('day >= %(first)s')} WHERE unpriced_requests > 0 GROUP BY provider, model"
    )
    first = timezone.now().date() - timedelta(days=DAYS)
    rows = ask(sql, {"first": first}, across_tenants=True, purpose="unpriced models of all tenants")
    return {(provider, model): UnpricedUse(*use) for provider, model, *use in rows}
