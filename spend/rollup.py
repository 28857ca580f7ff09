"""`usage_daily`, counted anew from `usage_events` wherever a day is marked as dirty."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import date, timedelta
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import structlog
from django.db import transaction
from django.db.models import F

from spend.clickhouse.client import command
from spend.clickhouse.errors import ClickHouseError, RefusedError
from spend.models import CountedZone, DirtyDay
from spend.queries.measures import OF_EVENTS
from spend.retention import usage_kept_from
from spend.zones import Calendar, Calendars, calendar
from wire.events import UsageEvent

logger = structlog.get_logger(__name__)

MARKS_AT_ONCE = 20_000
SILENT_MOST = 2  # one day may take too long; after two in a row without an answer ClickHouse is away
TENANTS_AT_ONCE = 500
DAYS_AT_ONCE = 8  # of a month, when all of it is counted
_IDS_AT_ONCE = 5_000

_GROUP = "tenant_id, project_id, key_id, provider, model, tier, env, status"

# Days of one month lie in one partition: the statement takes effect as a whole. All rows of a tenant's day carry the
# same ver, the sum of its events' revs: it grows with every event and every re-rating and needs no clock. On top comes
# the zone's generation, for in another zone a day may hold fewer events. Groups that stood in the day and are gone (a
# re-rating changed the model) get a row of zeros.
# PREWHERE chooses events before their revs are told apart, which spares a third: all revs have the same tenant and ts.
_RECOUNT = f"""
INSERT INTO usage_daily (
    tenant_id, project_id, key_id, provider, model, tier, env, status, day, requests, input_tokens, output_tokens,
    cached_tokens, unpriced_requests, unpriced_tokens, cost, charge, duration_ms, ver
)
SELECT
    {_GROUP}, day, sum(made), sum(tokens_in), sum(tokens_out), sum(tokens_cached), sum(made_unpriced),
    sum(tokens_unpriced), sum(costs), sum(charges), sum(durations), max(day_ver) + toUInt64(%(generation)s)
FROM (
    SELECT *, sum(revs) OVER (PARTITION BY tenant_id, day) AS day_ver FROM (
        SELECT
            tenant_id, project_id, key_id, provider,
            if(model_priced = '', model_asked, model_priced) AS model, tier, env, status,
            toDate(%(days)s[indexOf(%(begins)s, roundDown(toUnixTimestamp64Milli(ts), %(begins)s))]) AS day,
            {OF_EVENTS["requests"]} AS made, {OF_EVENTS["input_tokens"]} AS tokens_in,
            {OF_EVENTS["output_tokens"]} AS tokens_out, {OF_EVENTS["cached_tokens"]} AS tokens_cached,
            {OF_EVENTS["unpriced_requests"]} AS made_unpriced, {OF_EVENTS["unpriced_tokens"]} AS tokens_unpriced,
            {OF_EVENTS["cost"]} AS costs, {OF_EVENTS["charge"]} AS charges, {OF_EVENTS["duration_ms"]} AS durations,
            sum(toUInt64(rev)) AS revs
        FROM usage_events FINAL
        PREWHERE tenant_id IN %(tenants)s
            AND ts >= fromUnixTimestamp64Milli(%(begin)s) AND ts < fromUnixTimestamp64Milli(%(end)s)
        GROUP BY {_GROUP}, day
        UNION ALL
        SELECT DISTINCT {_GROUP}, day, 0, 0, 0, 0, 0, 0, toDecimal128(0, 12), toDecimal128(0, 12), 0, 0
        FROM usage_daily
        WHERE tenant_id IN %(tenants)s AND day IN %(days)s
    )
)
GROUP BY {_GROUP}, day
SETTINGS do_not_merge_across_partitions_select_final = 1
"""  # noqa: S608 - constants


_GENERATION_BITS = 44  # below them, a day's revs sum up
# The same moment is on days that are two apart at most, in whatever two zones.
AROUND = range(-2, 3)


class _Days(NamedTuple):
    """Days of a month that begin and end at the same moments for several tenants, which are counted together."""

    days: tuple[date, ...]
    begins: tuple[int, ...]  # Unix ms
    end: int
    generation: int


def mark(events: Iterable[UsageEvent], *, since_ms: int, calendars: Calendars | None = None) -> None:
    """Note which days these events touch, before they are acknowledged. `since_ms`: when the oldest was sent."""
    mark_moments(((event.tenant, event.ts) for event in events), since_ms=since_ms, calendars=calendars)


def mark_moments(moments: Iterable[tuple[str, int]], *, since_ms: int, calendars: Calendars | None = None) -> None:
    """Note the days that hold tenants' moments (Unix ms)."""
    calendars = calendars or Calendars()
    times: dict[str, list[int]] = defaultdict(list)
    for tenant, ms in moments:
        times[tenant].append(ms)
    known = {tenant: calendars.of(tenant) for tenant in times}  # once, so that a mark's day is one of its zone
    days = {(tenant, day) for tenant in times for day in _days_of(known[tenant], times[tenant])}
    zones = {tenant: each.zone for tenant, each in known.items()}
    with transaction.atomic():
        CountedZone.objects.bulk_create(
            [CountedZone(tenant_id=tenant, zone=zone) for tenant, zone in zones.items()], ignore_conflicts=True
        )
        DirtyDay.objects.bulk_create(
            DirtyDay(tenant_id=tenant, day=day, zone=zones[tenant], since_ms=since_ms) for tenant, day in sorted(days)
        )


def _days_of(days: Calendar, times: Sequence[int]) -> set[date]:
    """The days of moments. When the first and the last are on one day, so are all."""
    ends = {days.day_of(min(times)), days.day_of(max(times))}
    return ends if len(ends) == 1 else {days.day_of(ms) for ms in times}


def count_again(tenant_ids: Iterable[str], days: Iterable[date]) -> None:
    """Count these days of these tenants now, whatever stands of them. Raises ClickHouseError for those it could not."""
    zones = CountedZone.objects.in_bulk(list(tenant_ids))
    parts = [[*each] for _, each in groupby(days, lambda day: (day.year, day.month, day.day // DAYS_AT_ONCE))]
    found: dict[_Days, list[str]] = defaultdict(list)
    for tenant in sorted(zones):
        for part in parts:
            found[_bounds(part, zones[tenant])].append(tenant)
    _, error = _count(_countable(found))
    if error is not None:
        raise error


def outweigh(tenant_ids: Iterable[str], calendars: Calendars | None = None) -> None:
    """Let what is counted of these tenants from now on win against whatever stands.

    A recount wins by the sum of its revs; so it would not win against a day of which more was counted than there is.
    """
    calendars = calendars or Calendars()
    ids = sorted(set(tenant_ids))
    with transaction.atomic():
        CountedZone.objects.bulk_create(
            [CountedZone(tenant_id=each, zone=calendars.of(each).zone) for each in ids], ignore_conflicts=True
        )
        for first in range(0, len(ids), _IDS_AT_ONCE):
            CountedZone.objects.filter(pk__in=ids[first : first + _IDS_AT_ONCE]).update(generation=F("generation") + 1)


def recount() -> int:
    """Count the marked days anew; how many marks were read. Safe to run twice, late, or beside another one.

    Takes at most MARKS_AT_ONCE marks, so that it comes to an end while new ones are set. A tenant's day that cannot be
    counted keeps its mark and no other one; then, at the end, what ClickHouse said is raised (ClickHouseError).
    """
    marks = list(DirtyDay.objects.order_by("pk")[:MARKS_AT_ONCE])
    zones = _zones_of(marks)  # after the marks: who changes a zone marks its days later
    failed, error = _count(_countable(_by_day(marks, zones)))
    _delete(_done(marks, zones, failed), zones)
    if error is not None:
        raise error
    return len(marks)


def _bounds(days: Sequence[date], row: CountedZone) -> _Days:
    counted = calendar(row.zone)
    begins = tuple(counted.bounds(day)[0] for day in days)
    return _Days(tuple(days), begins, counted.bounds(days[-1])[1], row.generation)


def _count(groups: Mapping[_Days, list[str]]) -> tuple[set[tuple[str, date]], ClickHouseError | None]:
    """Count groups of tenants' days one by one. Which could not be counted, and the first reason."""
    failed: set[tuple[str, date]] = set()
    first_error: ClickHouseError | None = None
    silent = 0
    parts = [
        (days, tenants[first : first + TENANTS_AT_ONCE])
        for days, tenants in groups.items()
        for first in range(0, len(tenants), TENANTS_AT_ONCE)
    ][::-1]
    while parts:
        days, tenants = parts.pop()
        try:
            if silent < SILENT_MOST:
                _count_days(days, tenants)
                silent = 0
                continue
        except RefusedError as error:
            first_error, silent = first_error or error, 0
            if len(tenants) > 1:  # one tenant's may be too much, or all of them together
                half = len(tenants) // 2
                parts += [(days, tenants[half:]), (days, tenants[:half])]
                continue
        except ClickHouseError as error:
            first_error, silent = first_error or error, silent + 1
        failed |= {(tenant, day) for tenant in tenants for day in days.days}
    if first_error:
        some = sorted(failed)[:3]
        logger.error("days not counted", tenant_days=len(failed), some=[f"{who} {day}" for who, day in some])
    return failed, first_error


def _count_days(days: _Days, tenants: Sequence[str]) -> None:
    parameters = {
        "days": [day.isoformat() for day in days.days],
        "begins": list(days.begins),
        "begin": days.begins[0],
        "end": days.end,
        "generation": days.generation << _GENERATION_BITS,
        "tenants": tuple(tenants),
    }
    command(_RECOUNT, parameters, purpose="recount")


def _done(marks: Iterable[DirtyDay], zones: Mapping[str, CountedZone], failed: Set[tuple[str, date]]) -> list[DirtyDay]:
    """The marks that need not stand: all that is meant was counted, or another one of the same day stands for it.

    So a day that can never be counted has few marks, however many are set: they do not crowd the others out.
    """
    done: list[DirtyDay] = []
    standing: set[tuple[str, date, str]] = set()
    for each in sorted(marks, key=attrgetter("since_ms", "pk")):
        name = (each.tenant_id, each.day, each.zone)
        if name in standing or failed.isdisjoint(_days([each], zones)):
            done.append(each)
        else:
            standing.add(name)
    return done


def _by_day(marks: Iterable[DirtyDay], zones: Mapping[str, CountedZone]) -> dict[_Days, list[str]]:
    found: dict[_Days, list[str]] = defaultdict(list)
    for tenant, day in sorted(set(_days(marks, zones))):
        found[_bounds([day], zones[tenant])].append(tenant)
    return found


def _countable(groups: Mapping[_Days, list[str]]) -> dict[_Days, list[str]]:
    """Without the days of which events may be gone: what stands of them was counted from all their events."""
    kept_from = usage_kept_from()
    gone = [day for each in groups for day, begin in zip(each.days, each.begins, strict=True) if begin < kept_from]
    if gone:
        logger.warning("days older than events are kept stay as they were", days=len(gone), last=str(max(gone)))
    kept: dict[_Days, list[str]] = {}
    for each, tenants in groups.items():
        left = sum(begin < kept_from for begin in each.begins)
        if left < len(each.days):
            kept[each._replace(days=each.days[left:], begins=each.begins[left:])] = tenants
    return kept


def _days(marks: Iterable[DirtyDay], zones: Mapping[str, CountedZone]) -> Iterator[tuple[str, date]]:
    """The tenants' days that the marks mean. A mark in another zone may mean one of several."""
    for each in marks:
        if each.zone == zones[each.tenant_id].zone:
            yield each.tenant_id, each.day
        else:
            yield from ((each.tenant_id, each.day + timedelta(days=number)) for number in AROUND)


def _zones_of(marks: Iterable[DirtyDay]) -> dict[str, CountedZone]:
    return CountedZone.objects.in_bulk({each.tenant_id for each in marks})


def _delete(marks: Sequence[DirtyDay], zones: Mapping[str, CountedZone]) -> None:
    """Delete these very marks, which were read; those of tenants whose zone changed meanwhile are set anew.

    Who moved the tenant may have taken such a mark away already, before what was counted here in the old zone stood in
    the rollup: so it found nothing to put zeros in the place of.
    """
    with transaction.atomic():
        now = CountedZone.objects.select_for_update().in_bulk(zones)
        late = [each for each in marks if now[each.tenant_id].generation != zones[each.tenant_id].generation]
        ids = [each.pk for each in marks]
        for first in range(0, len(ids), _IDS_AT_ONCE):
            DirtyDay.objects.filter(pk__in=ids[first : first + _IDS_AT_ONCE]).delete()
        DirtyDay.objects.bulk_create(
            DirtyDay(tenant_id=each.tenant_id, day=each.day, zone=zones[each.tenant_id].zone, since_ms=each.since_ms)
            for each in late
        )
