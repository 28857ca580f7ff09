"""`usage_daily`, counted anew from `usage_events` wherever a day is marked as dirty."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from spend.clickhouse.client import command
from spend.models import DirtyDay
from spend.zones import bounds, day_of, zone_of
from wire.events import UsageEvent

MARKS_AT_ONCE = 20_000
DAYS_AT_ONCE = 400

# Groups that stood in the day and are gone (a re-rating changed the model) get a row of zeros. All rows of a day carry the
# same ver, the sum of its events' revs: it only grows, and needs no clock.
_RECOUNT = """
INSERT INTO usage_daily (
    tenant_id, day, project_id, key_id, provider, model, tier, env, status, requests, input_tokens, output_tokens,
    cached_tokens, unpriced_requests, unpriced_tokens, cost, charge, duration_ms, ver
)
SELECT
    tenant_id, day, project_id, key_id, provider, model, tier, env, status, sum(calls), sum(tokens_in), sum(tokens_out),
    sum(tokens_cached), sum(calls_unpriced), sum(tokens_unpriced), sum(costs), sum(charges), sum(durations), any(day_ver)
FROM (
    SELECT *, sum(revs) OVER (PARTITION BY tenant_id, day) AS day_ver FROM (
        SELECT
            tenant_id, toDate(ts, %(zone)s) AS day, project_id, key_id, provider,
            if(model_priced = '', model_asked, model_priced) AS model, tier, env, status,
            countIf(kind = 'call') AS calls, sum(input_tokens) AS tokens_in, sum(output_tokens) AS tokens_out,
            sum(cached_tokens) AS tokens_cached, countIf(isNull(cost)) AS calls_unpriced,
            sumIf(input_tokens + output_tokens, isNull(cost)) AS tokens_unpriced,
            sum(ifNull(cost, toDecimal128(0, 12))) AS costs, sum(ifNull(charge, toDecimal128(0, 12))) AS charges,
            sum(toUInt64(usage_events.duration_ms)) AS durations, sum(toUInt64(rev)) AS revs
        FROM usage_events FINAL
        WHERE ts >= fromUnixTimestamp64Milli(%(begin)s) AND ts < fromUnixTimestamp64Milli(%(end)s)
            AND tenant_id IN %(tenants)s AND (tenant_id, toDate(ts, %(zone)s)) IN %(days)s
        GROUP BY tenant_id, day, project_id, key_id, provider, model, tier, env, status
        UNION ALL
        SELECT
            tenant_id, day, project_id, key_id, provider, model, tier, env, status,
            0, 0, 0, 0, 0, 0, toDecimal128(0, 12), toDecimal128(0, 12), 0, 0
        FROM usage_daily FINAL
        WHERE tenant_id IN %(tenants)s AND day BETWEEN %(first)s AND %(last)s AND (tenant_id, day) IN %(days)s
    )
)
GROUP BY tenant_id, day, project_id, key_id, provider, model, tier, env, status
"""


def mark(events: Iterable[UsageEvent]) -> None:
    """Say which days these events touch. Must be stored before the events are acknowledged."""
    days = {(event.tenant, day_of(event.ts, zone_of(event.tenant))) for event in events}
    DirtyDay.objects.bulk_create([DirtyDay(tenant_id=tenant, day=day) for tenant, day in sorted(days)])


def recount() -> int:
    """Count every marked day anew; the number of days. Safe to run twice, late or beside another one."""
    total = 0
    while marks := list(DirtyDay.objects.order_by("pk")[:MARKS_AT_ONCE]):
        days = sorted({(each.tenant_id, each.day) for each in marks})
        for zone, pairs in _by_zone(days).items():
            for start in range(0, len(pairs), DAYS_AT_ONCE):
                _recount_days(pairs[start : start + DAYS_AT_ONCE], zone)
        DirtyDay.objects.filter(pk__in=[each.pk for each in marks]).delete()
        total += len(days)
    return total


def _by_zone(days: Iterable[tuple[str, date]]) -> dict[str, list[tuple[str, date]]]:
    found: dict[str, list[tuple[str, date]]] = defaultdict(list)
    for tenant, day in days:
        found[zone_of(tenant)].append((tenant, day))
    for pairs in found.values():
        pairs.sort(key=lambda pair: pair[1])  # so that what is counted at once lies in few partitions
    return found


def _recount_days(pairs: list[tuple[str, date]], zone: str) -> None:
    first, last = pairs[0][1], pairs[-1][1]
    begin, end = bounds(first, last, zone)
    command(
        _RECOUNT,
        {
            "zone": zone,
            "begin": int(begin.timestamp()) * 1000,
            "end": int(end.timestamp()) * 1000,
            "tenants": tuple({tenant for tenant, _ in pairs}),
            "days": tuple((tenant, day.isoformat()) for tenant, day in pairs),
            "first": first,
            "last": last,
        },
        purpose="recount",
    )
