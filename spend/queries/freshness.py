"""How fresh a tenant's figures are, and how much of its usage has no price."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import Min
from django.utils import timezone

from spend.clickhouse.client import ask
from spend.models import DirtyDay
from spend.queries.filters import Conditions
from spend.queries.rollup import counted_days
from spend.zones import calendar_of, moment_of, ms_of
from wire.queues.base import USAGE, Depth

DAYS = 30
_MINUTE_MS = 60_000


class Freshness(NamedTuple):
    """How fresh and complete a tenant's figures are.

    `data_to`: everything that gateways acknowledged until then is counted; None when the tenant never called.
    `requests` and the unpriced ones are those of 30 days. `revision` changes whenever any figure of the tenant does.
    `set_aside`: usage events of the whole installation that were put aside as dead, and are in nobody's figures.
    """

    data_to: datetime | None
    requests: int
    unpriced_requests: int
    unpriced_tokens: int
    revision: int
    set_aside: int


def freshness(tenant_id: str, *, keys: Collection[str] | None = None) -> Freshness:
    """A tenant's freshness, as far as `keys` go (None: every key). Raises UnavailableError when ClickHouse is away."""
    depths = _depths()
    # before the sums: what is counted in between is then in them and not claimed
    data_to = _complete_to(depths, timezone.now())
    today = calendar_of(tenant_id).day_of(ms_of(timezone.now()))
    where = Conditions().days(today - timedelta(days=DAYS - 1), today + timedelta(days=1)).keys(keys)
    sql = (
        "SELECT sum(requests), sum(unpriced_requests), sum(unpriced_tokens)"  # noqa: S608
        f" FROM {counted_days(str(where), where.whole_days)}"
    )
    requests, unpriced, tokens = ask(sql, where.parameters, tenant_id=tenant_id, purpose="freshness")[0]
    seen = Conditions().keys(keys)
    versions = f"SELECT max(ver) AS ver FROM usage_daily WHERE {seen} GROUP BY day"  # noqa: S608
    question = f"SELECT sum(ver) FROM ({versions})"  # noqa: S608
    revision = ask(question, seen.parameters, tenant_id=tenant_id, purpose="freshness")[0][0]
    set_aside = sum(each.dead for each in depths)
    return Freshness(data_to if revision else None, requests, unpriced, tokens, revision, set_aside)


def complete_to(now: datetime | None = None) -> datetime:
    """Up to when every usage event that was acknowledged has been counted: now, to the minute, when nothing waits.

    What waits is a message in a queue, one that was put aside as dead, or a day that is marked and not counted yet.
    """
    return _complete_to(_depths(), now or timezone.now())


def _depths() -> list[Depth]:
    depths = []
    for env in settings.SPENDOPS.environments:
        with closing(settings.SPENDOPS.open_queue(USAGE, env)) as queue:
            depths.append(queue.depth())
    return depths


def _complete_to(depths: Sequence[Depth], now: datetime) -> datetime:
    oldest = [ms_of(now) // _MINUTE_MS * _MINUTE_MS]
    oldest += [ms for each in depths for ms in (each.oldest_ms, each.oldest_dead_ms)]
    # after the queues: what leaves them is marked before
    oldest.append(DirtyDay.objects.aggregate(oldest=Min("since_ms"))["oldest"] or 0)
    return moment_of(min(ms for ms in oldest if ms))
