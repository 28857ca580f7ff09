"""Whether the rollup says what the events say: summed up again day by day, group by group, measure by measure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import transaction

from spend.clickhouse.client import ask
from spend.models import CountedZone, DirtyDay
from spend.periods import each_day
from spend.queries.measures import OF_EVENTS
from spend.queries.rollup import counted_days
from spend.rebuilding import last_day
from spend.retention import usage_kept_from
from spend.rollup import outweigh
from spend.zones import Calendar, calendar, calendar_of

GROUP = ("project_id", "key_id", "provider", "model", "tier", "env", "status")
MEASURES = tuple(name for name in OF_EVENTS if name != "errors")  # the rollup has no column of its own for errors
SHOWN_MOST = 1_000  # differing groups of a tenant's month


def _nothing(measure: str) -> str:
    return "toDecimal128(0, 12)" if measure in ("cost", "charge") else "toUInt64(0)"


# Both sides in one statement, so that nothing comes between them, and only what differs comes back.
_SQL = f"""
SELECT day, {", ".join(GROUP)}, {", ".join(f"sum(d_{name}), sum(e_{name})" for name in MEASURES)}
FROM (
    SELECT day, {", ".join(GROUP)}, {", ".join(f"{name} AS d_{name}" for name in MEASURES)},
        {", ".join(f"{_nothing(name)} AS e_{name}" for name in MEASURES)}
    FROM {counted_days("tenant_id = %(tenant_id)s AND day BETWEEN %(first)s AND %(last)s")}
    UNION ALL
    SELECT toDate(%(days)s[indexOf(%(begins)s, begin)]) AS day, {", ".join(GROUP)},
        {", ".join(f"{_nothing(name)} AS d_{name}" for name in MEASURES)},
        {", ".join(f"s_{name} AS e_{name}" for name in MEASURES)}
    FROM (
        SELECT roundDown(toUnixTimestamp64Milli(ts), %(begins)s) AS begin, project_id, key_id, provider,
            if(model_priced = '', model_asked, model_priced) AS model, tier, env, status,
            {", ".join(f"{OF_EVENTS[name]} AS s_{name}" for name in MEASURES)}
        FROM usage_events FINAL
        WHERE tenant_id = %(tenant_id)s
            AND ts >= fromUnixTimestamp64Milli(%(begin)s) AND ts < fromUnixTimestamp64Milli(%(end)s)
        GROUP BY begin, {", ".join(GROUP)}
    )
)
GROUP BY day, {", ".join(GROUP)}
HAVING {" OR ".join(f"sum(d_{name}) != sum(e_{name})" for name in MEASURES)}
ORDER BY day, {", ".join(GROUP)}
LIMIT {SHOWN_MOST}
"""  # noqa: S608 - constants


class Difference(NamedTuple):
    """A measure of a tenant's day and group that the rollup and the events say differently. Money in USD, exact."""

    tenant_id: str
    day: date
    group: dict[str, str]
    measure: str
    rollup: int | Decimal
    events: int | Decimal


class Verified(NamedTuple):
    """What was held against each other, and what differs.

    `waiting`: days that are marked, and so are expected to differ; `gone`: days of which events may be gone. Neither
    was looked at.
    """

    days: int
    waiting: int
    gone: int
    differences: list[Difference]


def tenants_with_spend() -> list[str]:
    """All tenants that events or the rollup name."""
    sql = "SELECT DISTINCT tenant_id FROM usage_events UNION DISTINCT SELECT DISTINCT tenant_id FROM usage_daily"
    return sorted(row[0] for row in ask(sql, across_tenants=True, purpose="verify spend"))


def verify(tenant_id: str, first: date | None = None, last: date | None = None) -> Iterator[Verified]:
    """Hold a tenant's days against its events, a month at a time; all of them when no day is given.

    Raises ClickHouseError.
    """
    days = _calendar(tenant_id)
    known = _known_days(tenant_id, days)
    if known is None:
        return
    begin, end = max(first or known[0], known[0]), min(last or known[1], known[1])
    while begin <= end:
        to = min(last_day(begin), end)
        yield _month(tenant_id, days, list(each_day(begin, to)))
        begin = to + timedelta(days=1)


def repair(differences: Sequence[Difference]) -> int:
    """Mark the days that differ, to be counted anew by the consumer; how many. What is counted then wins."""
    found = {(each.tenant_id, each.day) for each in differences}
    with transaction.atomic():
        outweigh(tenant for tenant, _ in found)
        zones = CountedZone.objects.in_bulk({tenant for tenant, _ in found})
        since = time.time_ns() // 1_000_000
        DirtyDay.objects.bulk_create(
            DirtyDay(tenant_id=tenant, day=day, zone=zones[tenant].zone, since_ms=since)
            for tenant, day in sorted(found)
        )
    return len(found)


def _month(tenant_id: str, calendar_: Calendar, days: list[date]) -> Verified:
    waiting = _marked(tenant_id, days)
    gone = {day for day in days if calendar_.bounds(day)[0] < usage_kept_from()}
    parameters = {
        "first": days[0],
        "last": days[-1],
        "days": [day.isoformat() for day in days],
        "begins": [calendar_.bounds(day)[0] for day in days],
        "begin": calendar_.bounds(days[0])[0],
        "end": calendar_.bounds(days[-1])[1],
    }
    rows = ask(_SQL, parameters, tenant_id=tenant_id, purpose="verify spend")
    waiting |= _marked(tenant_id, days)  # what came in meanwhile
    found = [each for row in rows for each in _differences(tenant_id, row) if each.day not in waiting | gone]
    return Verified(len(set(days) - waiting - gone), len(waiting), len(gone), found)


def _differences(tenant_id: str, row: tuple[Any, ...]) -> Iterator[Difference]:
    day, groups, sums = row[0], row[1 : 1 + len(GROUP)], row[1 + len(GROUP) :]
    for place, measure in enumerate(MEASURES):
        rollup, events = sums[2 * place : 2 * place + 2]
        if rollup != events:
            yield Difference(tenant_id, day, dict(zip(GROUP, groups, strict=True)), measure, rollup, events)


def _calendar(tenant_id: str) -> Calendar:
    """The days as they are counted: those of the tenant's zone, or of the one before while it moves."""
    row = CountedZone.objects.filter(pk=tenant_id).first()
    return calendar(row.zone) if row else calendar_of(tenant_id)


def _known_days(tenant_id: str, days: Calendar) -> tuple[date, date] | None:
    """The first and the last day that anything is known of."""
    sql = "SELECT count(), min(day), max(day) FROM usage_daily WHERE tenant_id = %(tenant_id)s"
    events = (
        "SELECT count(), toUnixTimestamp64Milli(min(ts)), toUnixTimestamp64Milli(max(ts))"
        " FROM usage_events WHERE tenant_id = %(tenant_id)s"
    )
    counted, first, last = ask(sql, tenant_id=tenant_id, purpose="verify spend")[0]
    stored, earliest, latest = ask(events, tenant_id=tenant_id, purpose="verify spend")[0]
    ends = [first, last] if counted else []
    ends += [days.day_of(earliest), days.day_of(latest)] if stored else []
    return (min(ends), max(ends)) if ends else None


def _marked(tenant_id: str, days: Sequence[date]) -> set[date]:
    marked = DirtyDay.objects.filter(tenant_id=tenant_id, day__range=(days[0], days[-1]))
    return set(marked.values_list("day", flat=True))
