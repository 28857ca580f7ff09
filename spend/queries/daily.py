"""What a tenant spent by day and group."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spend.clickhouse.client import ask
from wire.events import Status

GROUPS = {
    "model": "model",
    "project": "project_id",
    "key": "key_id",
    "provider": "provider",
    "env": "env",
    "status": "status",
    "tier": "tier",
}
FAILED = (Status.ERROR, Status.UNREACHABLE, Status.INTERRUPTED)

_SQL = """
SELECT
    day, {group} AS group_name, sum(requests), sum(input_tokens), sum(output_tokens), sum(cached_tokens),
    sum(cost), sum(charge), sum(unpriced_requests), sumIf(requests, status IN %(failed)s)
FROM usage_daily FINAL
WHERE tenant_id = %(tenant_id)s AND day BETWEEN %(first)s AND %(last)s {envs}
GROUP BY day, group_name
HAVING sum(requests) > 0 OR sum(cost) != 0 OR sum(charge) != 0
ORDER BY day, group_name
"""


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


def daily_spend(tenant_id: str, first: date, last: date, *, group_by: str, envs: Sequence[str] = ()) -> list[DailyRow]:
    """Spend from the first to the last of the tenant's own days, both included, in the environments named (else all).

    Raises ValueError for an unknown grouping, UnavailableError when ClickHouse does not answer.
    """
    if group_by not in GROUPS:
        raise ValueError(f"Spend cannot be grouped by {group_by!r}: choose one of {', '.join(GROUPS)}.")
    sql = _SQL.format(group=GROUPS[group_by], envs="AND env IN %(envs)s" if envs else "")
    parameters = {"first": first, "last": last, "envs": tuple(envs), "failed": tuple(map(str, FAILED))}
    return [DailyRow(*row) for row in ask(sql, parameters, tenant_id=tenant_id, purpose="daily spend")]
