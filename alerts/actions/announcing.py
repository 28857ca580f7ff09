"""From crossings to deliveries: the message is rendered here, in full, for each of the tenant's channels."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import transaction
from django.utils import timezone

from alerts.actions.channels import ensure_default_channels
from alerts.actions.delivering import deliver_to_all
from alerts.content import alert_of
from budgets.models import Crossing
from changes.actor import Actor
from changes.record import record
from tenants.scope import across_tenants, tenant_scope

logger = structlog.get_logger(__name__)

SENDER = Actor.system("alerts.announcing")
_BATCH = 500


def announce_crossings(*, now: datetime | None = None) -> int:
    """Make deliveries of the crossings that nobody was told of yet. Returns how many crossings that were.

    Of several workers at once, one announces a crossing: the row is claimed in the transaction of its deliveries.
    """
    now = now or timezone.now()
    announced = 0
    with across_tenants("crossings of all tenants are announced by one job"):
        waiting = list(
            Crossing.objects.filter(announcement=Crossing.Announcement.WAITING)
            .select_related("budget", "budget__tenant")
            .order_by("id")[:_BATCH]
        )
    for crossing in waiting:
        with tenant_scope(crossing.tenant_id):
            try:
                announced += _announce(crossing, now)
            except Exception:
                logger.exception("crossing not announced", crossing=crossing.pk, budget=crossing.budget_id)
    return announced


def _announce(crossing: Crossing, now: datetime) -> bool:
    alert = alert_of(crossing)
    with transaction.atomic():
        claimed = Crossing.objects.filter(pk=crossing.pk, announcement=Crossing.Announcement.WAITING).update(
            announcement=Crossing.Announcement.DONE
        )
        if not claimed:
            return False
        tenant = crossing.budget.tenant
        ensure_default_channels(tenant)
        made = deliver_to_all(tenant, alert, now=now)
        record(
            "alert.announced",
            by=SENDER,
            tenant=crossing.tenant_id,
            target_kind="crossing",
            target_id=str(crossing.pk),
            after={
                "budget": crossing.budget_id,
                "kind": crossing.kind,
                "threshold": crossing.threshold,
                "deliveries": [delivery.id for delivery in made],
            },
        )
    return True
