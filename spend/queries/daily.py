"""What a tenant spent by day and group."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spend.clickhouse.client import ask
from spend.queries.filters import Conditions
from spend.queries.rollup import ERRORS, column_of, counted_days


class DailyRow(NamedTuple):
    """A group's day. Money in USD, exact; `requests` includes those that failed or have no price."""

    day: date
    group: str
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost: Decimal
    charge: Decimal
    unpriced: int
    errors: int


def daily_spend(
    tenant_id: str,
    first: date,
    last: date,
    *,
    group_by: str,
    envs: Sequence[str] = (),
    keys: Collection[str] | None = None,
) -> list[DailyRow]:
    """Spend from the first to the last of the tenant's own days, both included, in the environments named (else all).

    `keys` are the API keys whose spend may be seen; None means every key's.

    Raises ValueError for a grouping that is not in `rollup.GROUPS`, UnavailableError when ClickHouse does not answer.
    """
    where = Conditions().days(first, last).envs(envs).keys(keys)
    sql = (
        f"SELECT day, {column_of(group_by)} AS grouped, sum(requests), sum(input_tokens), sum(output_tokens),"  # noqa: S608
        f" sum(cached_tokens), sum(cost), sum(charge), sum(unpriced_requests), {ERRORS}"
        f" FROM {counted_days(str(where))} GROUP BY day, grouped"
        " HAVING sum(requests) > 0 OR sum(cost) != 0 OR sum(charge) != 0 ORDER BY day, grouped"
    )
    return [DailyRow(*row) for row in ask(sql, where.parameters, tenant_id=tenant_id, purpose="daily spend")]
