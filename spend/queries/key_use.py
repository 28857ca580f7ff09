"""What one API key was used for in the last hours."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from spend.clickhouse.client import ask
from spend.queries.filters import Conditions
from spend.zones import ms_of


class HourOfUse(NamedTuple):
    """One hour of calls with a key. Charge in USD, exact; unpriced calls count as nothing and are said beside it."""

    hour: datetime
    requests: int
    charge: Decimal
    unpriced: int
    last_call: datetime


def key_use(tenant_id: str, key_id: str, begin: datetime, end: datetime) -> list[HourOfUse]:
    """A key's calls that arrived from `begin` on and before `end`, by hour (UTC); hours without any are left out."""
    where = Conditions().arrived(ms_of(begin), ms_of(end)).equal(key_id=key_id)
    sql = (
        "SELECT toStartOfHour(ts) AS hour, count() AS requests, sum(ifNull(charge, 0)) AS charged,"  # noqa: S608
        " countIf(isNull(charge)) AS unpriced, max(ts) AS last_call"
        f" FROM usage_events FINAL WHERE {where} GROUP BY hour ORDER BY hour"
    )
    return [HourOfUse(*row) for row in ask(sql, where.parameters, tenant_id=tenant_id, purpose="use of a key")]
