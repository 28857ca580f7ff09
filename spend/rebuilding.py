"""The whole rollup counted anew from the events, month by month: after the events were repaired, or to be sure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, NamedTuple

from spend.clickhouse.client import ask
from spend.periods import each_day
from spend.retention import usage_kept_from
from spend.rollup import AROUND, count_again, outweigh

_AROUND = timedelta(days=AROUND.stop)  # a tenant's day may lie in another month in UTC


class Rebuilt(NamedTuple):
    """A month that was counted anew."""

    month: date  # its first day
    tenants: int


def rebuild(*, tenant_id: str = "", month: date | None = None) -> Iterator[Rebuilt]:
    """Count all days anew, or those of a tenant or a month, the oldest first; yields each month once it is counted.

    One statement counts a few days, so that their groups are all that is in memory. Safe beside consumers, and to be
    run again when it was broken off. Days of which events may be gone stay as they are. Raises ClickHouseError.
    """
    known: set[str] = set()
    for first in [month.replace(day=1)] if month else _months(tenant_id):
        tenants = _tenants(first, tenant_id)
        outweigh(tenants - known)
        known |= tenants
        count_again(tenants, each_day(first, last_day(first)))
        yield Rebuilt(first, len(tenants))


def last_day(month: date) -> date:
    """The last day of a month."""
    return (month.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _months(tenant_id: str) -> list[date]:
    """The months that hold anything and whose events are kept."""
    found: set[date] = set()
    for table, day in (("usage_events", "toDate(ts)"), ("usage_daily", "day")):
        months = f"SELECT DISTINCT toStartOfMonth({day}) FROM {table} WHERE {_of(tenant_id, day)}"  # noqa: S608
        found |= {row[0] for row in _ask(months, {}, tenant_id)}
    return sorted(found)


def _tenants(month: date, tenant_id: str) -> set[str]:
    between = {"first": month - _AROUND, "last": last_day(month) + _AROUND}
    found: set[str] = set()
    for table, day in (("usage_events", "toDate(ts)"), ("usage_daily", "day")):
        rows = _ask(
            f"SELECT DISTINCT tenant_id FROM {table}"  # noqa: S608
            f" WHERE {_of(tenant_id, day)} AND {day} BETWEEN %(first)s AND %(last)s",
            between,
            tenant_id,
        )
        found |= {row[0] for row in rows}
    return found


def _of(tenant_id: str, day: str) -> str:
    kept = f"{day} >= toDate(fromUnixTimestamp64Milli(toInt64({usage_kept_from()})))"
    return f"{kept} AND tenant_id = %(tenant_id)s" if tenant_id else kept


def _ask(sql: str, parameters: dict[str, date], tenant_id: str) -> list[tuple[Any, ...]]:
    if tenant_id:
        return ask(sql, parameters, tenant_id=tenant_id, purpose="rebuild")
    return ask(sql, parameters, across_tenants=True, purpose="rebuild")
