"""What drives a tenant's spend: the groups that are charged most."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spend.clickhouse.client import ask
from spend.queries.filters import Conditions
from spend.queries.rollup import column_of, counted_days


class Driver(NamedTuple):
    """A group and what it was charged, USD."""

    group: str
    requests: int
    charge: Decimal


def drivers(
    tenant_id: str, first: date, last: date, *, group_by: str = "model", envs: Sequence[str] = (), most: int = 3
) -> list[Driver]:
    """The groups of the tenant's own days that were charged most, those first. What costs nothing drives nothing."""
    where = Conditions().days(first, last).envs(envs)
    sql = (
        f"SELECT {column_of(group_by)} AS grouped, sum(requests), sum(charge) AS charged"  # noqa: S608
        f" FROM {counted_days(str(where), where.whole_days)} GROUP BY grouped HAVING charged > 0"
        " ORDER BY charged DESC, grouped LIMIT %(most)s"
    )
    parameters = where.parameters | {"most": most}
    return [Driver(*row) for row in ask(sql, parameters, tenant_id=tenant_id, purpose="drivers")]
