"""`usage_daily`, counted anew from `usage_events` wherever a day is marked as dirty."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from spend.clickhouse.client import command
from spend.models import DirtyDay
from spend.zones import Calendars
from wire.events import UsageEvent

MARKS_AT_ONCE = 20_000
TENANTS_AT_ONCE = 500
_IDS_AT_ONCE = 5_000

_GROUP = "tenant_id, project_id, key_id, provider, model, tier, env, status"

# One day, which lies in one partition: the statement takes effect as a whole. All rows of a tenant's day carry the same
# ver, the sum of its events' revs: it grows with every event and every re-rating and needs no clock. Groups that stood
# in the day and are gone (a re-rating changed the model) get a row of zeros.
_RECOUNT = f"""
INSERT INTO usage_daily (
    tenant_id, project_id, key_id, provider, model, tier, env, status, day, requests, input_tokens, output_tokens,
    cached_tokens, unpriced_requests, unpriced_tokens, cost, charge, duration_ms, ver
)
SELECT
    {_GROUP}, toDate(%(day)s), sum(calls), sum(tokens_in), sum(tokens_out), sum(tokens_cached), sum(calls_unpriced),
    sum(tokens_unpriced), sum(costs), sum(charges), sum(durations), max(day_ver)
FROM (
    SELECT *, sum(revs) OVER (PARTITION BY tenant_id) AS day_ver FROM (
        SELECT
            tenant_id, project_id, key_id, provider,
            if(model_priced = '', model_asked, model_priced) AS model, tier, env, status,
            countIf(kind = 'call') AS calls, sum(input_tokens) AS tokens_in, sum(output_tokens) AS tokens_out,
            sum(cached_tokens) AS tokens_cached, countIf(isNull(charge) AND kind = 'call') AS calls_unpriced,
            sumIf(input_tokens + output_tokens, isNull(charge)) AS tokens_unpriced,
            sum(ifNull(cost, toDecimal128(0, 12))) AS costs, sum(ifNull(charge, toDecimal128(0, 12))) AS charges,
            sum(toUInt64(usage_events.duration_ms)) AS durations, sum(toUInt64(rev)) AS revs
        FROM usage_events FINAL
        WHERE tenant_id IN %(tenants)s
            AND ts >= fromUnixTimestamp64Milli(%(begin)s) AND ts < fromUnixTimestamp64Milli(%(end)s)
        GROUP BY {_GROUP}
        UNION ALL
        SELECT DISTINCT {_GROUP}, 0, 0, 0, 0, 0, 0, toDecimal128(0, 12), toDecimal128(0, 12), 0, 0
        FROM usage_daily
        WHERE tenant_id IN %(tenants)s AND day = %(day)s
    )
)
GROUP BY {_GROUP}
SETTINGS do_not_merge_across_partitions_select_final = 1
"""  # noqa: S608 - constants


def mark(events: Iterable[UsageEvent], *, since_ms: int, calendars: Calendars | None = None) -> None:
    """Note which days these events touch, before they are acknowledged. `since_ms`: when the oldest was sent."""
    calendars = calendars or Calendars()
    days = {(event.tenant, calendars.of(event.tenant).day_of(event.ts)) for event in events}
    DirtyDay.objects.bulk_create(DirtyDay(tenant_id=tenant, day=day, since_ms=since_ms) for tenant, day in sorted(days))


def recount(calendars: Calendars | None = None) -> int:
    """Count the marked days anew; how many marks are done. Safe to run twice, late, or beside another one.

    Takes at most MARKS_AT_ONCE marks, so that it comes to an end while new ones are set.
    """
    marks = list(DirtyDay.objects.order_by("pk")[:MARKS_AT_ONCE])
    days = {(each.tenant_id, each.day) for each in marks}
    for (day, begin, end), tenants in _by_day(days, calendars or Calendars()).items():
        for first in range(0, len(tenants), TENANTS_AT_ONCE):
            some = tuple(tenants[first : first + TENANTS_AT_ONCE])
            command(_RECOUNT, {"day": day, "begin": begin, "end": end, "tenants": some}, purpose="recount")
    ids = [each.pk for each in marks]
    for first in range(0, len(ids), _IDS_AT_ONCE):
        DirtyDay.objects.filter(pk__in=ids[first : first + _IDS_AT_ONCE]).delete()
    return len(marks)


def _by_day(days: Iterable[tuple[str, date]], calendars: Calendars) -> dict[tuple[date, int, int], list[str]]:
    """The tenants of each day: tenants whose day begins and ends at the same moments are counted together."""
    found: dict[tuple[date, int, int], list[str]] = defaultdict(list)
    for tenant, day in sorted(days):
        found[day, *calendars.of(tenant).bounds(day)].append(tenant)
    return found
