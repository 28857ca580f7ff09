"""How fresh a tenant's figures are, and how much of its usage has no price."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from spend.clickhouse.client import ask
from spend.models import DirtyDay
from wire.queues.base import USAGE

DAYS = 30

_SQL = """
SELECT sum(requests), sum(unpriced_requests), sum(unpriced_tokens), count()
FROM usage_daily FINAL
WHERE tenant_id = %(tenant_id)s AND day >= %(since)s
"""
_EVER = "SELECT 1 FROM usage_daily WHERE tenant_id = %(tenant_id)s LIMIT 1"


class Freshness(NamedTuple):
    """Up to when everything that gateways acknowledged is counted (None when the tenant never called), and 30 days' gaps."""

    data_to: datetime | None
    requests: int
    unpriced_requests: int
    unpriced_tokens: int


def freshness(tenant_id: str) -> Freshness:
    """A tenant's freshness. Raises UnavailableError when ClickHouse does not answer."""
    since = (timezone.now() - timedelta(days=DAYS)).date()
    requests, unpriced, tokens, rows = ask(_SQL, {"since": since}, tenant_id=tenant_id, purpose="freshness")[0]
    ever = bool(rows) or bool(ask(_EVER, tenant_id=tenant_id, purpose="freshness"))
    return Freshness(complete_to() if ever else None, requests, unpriced, tokens)


def complete_to(now: datetime | None = None) -> datetime:
    """Up to when every event that was acknowledged has been counted: now, to the minute, when nothing waits.

    What still waits is a message in a queue, or a day that is marked and not counted yet.
    """
    oldest = [_ms(now or timezone.now()) // 60_000 * 60_000]
    for env in settings.SPENDOPS.environments:
        with closing(settings.SPENDOPS.open_queue(USAGE, env)) as queue:
            sent = queue.depth().oldest_ms
        if sent:
            oldest.append(sent)
    marked = DirtyDay.objects.order_by("pk").values_list("marked_at", flat=True).first()
    if marked:
        oldest.append(_ms(marked))
    return datetime.fromtimestamp(min(oldest) // 1000, UTC)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
