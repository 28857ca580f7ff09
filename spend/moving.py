"""When a tenant moves to another time zone, its days are counted anew in that zone.

First the zone that counts is changed, with a new generation; from then on no recount in the old zone can finish (see
`spend.rollup`). Only then are the days that stand in the rollup marked, and the move is over. Killed in between, it is
taken up again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import F

from spend.clickhouse.client import ask
from spend.models import CountedZone, DirtyDay
from spend.rollup import AROUND
from spend.zones import calendar
from tenants.models import Tenant

logger = structlog.get_logger(__name__)


def follow_zones() -> int:
    """Move every tenant whose zone is not the one that its days are counted in; how many moved."""
    moved = 0
    for row, zone in _differing():
        if zone != row.zone:
            # an update that finds no row was made by somebody else
            row_now = CountedZone.objects.filter(pk=row.pk, generation=row.generation)
            if not row_now.update(zone=zone, generation=F("generation") + 1, moving=True):
                continue
        _mark_all(row.tenant_id, zone)
        moved += 1
        logger.info("a tenant moved to another time zone; its days are counted anew", tenant=row.tenant_id, zone=zone)
    return moved


def _differing() -> Iterator[tuple[CountedZone, str]]:
    zones = dict(Tenant.objects.values_list("id", "time_zone"))
    for row in CountedZone.objects.all():
        zone = calendar(zones.get(row.tenant_id, row.zone)).zone
        if zone != row.zone or row.moving:
            yield row, zone


def _mark_all(tenant_id: str, zone: str) -> None:
    """Mark all days on which usage of the tenant is known, in the old zone or in the new."""
    rows = ask(
        "SELECT DISTINCT day FROM usage_daily WHERE tenant_id = %(tenant_id)s", tenant_id=tenant_id, purpose="move"
    )
    days = {day + timedelta(days=number) for (day,) in rows for number in AROUND}
    since = time.time_ns() // 1_000_000
    with transaction.atomic():
        DirtyDay.objects.bulk_create(
            DirtyDay(tenant_id=tenant_id, day=day, zone=zone, since_ms=since) for day in sorted(days)
        )
        CountedZone.objects.filter(pk=tenant_id, zone=zone).update(moving=False)
