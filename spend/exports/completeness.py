"""Whether a period is complete: all of it over and counted, and everything in it priced."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from spend.exports.wanted import Kind, Wanted
from spend.models import Export
from spend.queries.freshness import complete_to
from spend.queries.slices import cells
from spend.queries.streams import UsageStream
from spend.zones import calendar, moment_of, ms_of
from wire.display import counted, moment
from wire.queues.base import DENIALS, USAGE

_MINUTE_MS = 60_000


class Completeness(NamedTuple):
    """Up to when all that gateways acknowledged is there, and why a period is not complete; () when it is."""

    until: datetime
    reasons: tuple[str, ...]


def completeness(tenant_id: str, wanted: Wanted) -> Completeness:
    """How complete an export would be now. Raises ClickHouseError."""
    of = wanted.slice
    end = moment_of(calendar(of.zone).bounds(of.first, of.last)[1])
    now = timezone.now()
    until, set_aside = _counted_to(wanted.kind, now)
    reasons = []
    if now < end:
        reasons.append(f"The period ends at {moment(end, of.zone)}: what is still to come is not in it.")
    if until < min(now, end) and ms_of(until) < ms_of(now) // _MINUTE_MS * _MINUTE_MS:
        reasons.append(f"Events that came in after {moment(until, of.zone)} wait to be counted.")
        if set_aside:
            reasons.append(f"{counted(set_aside, 'event')} of the installation could not be stored and are set aside.")
    if wanted.kind is not Kind.DENIALS and (unpriced := _unpriced(tenant_id, wanted)):
        reasons.append(f"{counted(unpriced, 'request')} of the period {'has' if unpriced == 1 else 'have'} no price.")
    return Completeness(until, tuple(reasons))


def _counted_to(kind: Export.Kind, now: datetime) -> tuple[datetime, int]:
    """The moment, and how many events are set aside."""
    depths = []
    for env in settings.SPENDOPS.environments:
        with closing(settings.SPENDOPS.open_queue(DENIALS if kind is Kind.DENIALS else USAGE, env)) as queue:
            depths.append(queue.depth())
    set_aside = sum(each.dead for each in depths)
    if kind is not Kind.DENIALS:
        return complete_to(now), set_aside
    waiting = [ms for each in depths for ms in (each.oldest_ms, each.oldest_dead_ms) if ms]
    return moment_of(min([ms_of(now) // _MINUTE_MS * _MINUTE_MS, *waiting])), set_aside


def _unpriced(tenant_id: str, wanted: Wanted) -> int:
    if wanted.kind is Kind.USAGE:
        return UsageStream(tenant_id, wanted.slice, **wanted.exactly).sums().unpriced
    return sum(cell.unpriced_requests for cell in cells(tenant_id, wanted.slice, purpose="export: unpriced"))
