"""From deliveries to receivers: claim, send, note how it went."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from alerts.channels import kind_of
from alerts.channels.base import DeliveryError
from alerts.errors import NotWaitingError
from alerts.models import Channel, Delivery
from alerts.rules import LEASE, MOST_ATTEMPTS, next_attempt
from changes.actor import Actor
from changes.record import record
from tenants.scope import across_tenants, tenant_scope

logger = structlog.get_logger(__name__)

_BATCH = 200


def send_due(*, now: datetime | None = None) -> int:
    """Send what is due, the oldest first. Returns how many messages arrived. Safe to run several times at once."""
    sent = 0
    with across_tenants("messages of all tenants are sent by one job"):
        due = list(
            Delivery.objects.filter(status=Delivery.Status.WAITING, next_at__lte=now or timezone.now())
            .order_by("next_at", "created_at", "id")
            .values_list("id", "tenant_id")[:_BATCH]
        )
    for delivery_id, tenant_id in due:
        with tenant_scope(tenant_id):
            delivery = _claim(delivery_id, now or timezone.now())
            if delivery is not None:
                sent += _send(delivery, now)
    return sent


def retry_delivery(*, delivery_id: str, tenant_id: str, by: Actor, now: datetime | None = None) -> None:
    """Send a message that was refused or given up once more, from the start of the schedule. Raises NotWaitingError."""
    with tenant_scope(tenant_id), transaction.atomic():
        again = Delivery.objects.filter(
            id=delivery_id,
            status__in=(Delivery.Status.FAILED, Delivery.Status.DEAD),
            channel__status=Channel.Status.ACTIVE,
        ).update(status=Delivery.Status.WAITING, attempts=0, next_at=now or timezone.now(), error="")
        if not again:
            raise NotWaitingError(
                "This message cannot be sent again: it has arrived, is on its way, or has no channel."
            )
        record("delivery.retried", by=by, tenant=tenant_id, target_kind="delivery", target_id=delivery_id)


def _claim(delivery_id: str, now: datetime) -> Delivery | None:
    """Take a message for one attempt; None when somebody else did."""
    mine = Delivery.objects.filter(
        id=delivery_id, status=Delivery.Status.WAITING, next_at__lte=now, attempts__lt=MOST_ATTEMPTS
    ).update(attempts=F("attempts") + 1, next_at=now + LEASE)
    if mine:
        return Delivery.objects.select_related("channel").get(id=delivery_id)
    # The worker that took the last attempt died with it.
    Delivery.objects.filter(
        id=delivery_id, status=Delivery.Status.WAITING, next_at__lte=now, attempts__gte=MOST_ATTEMPTS
    ).update(status=Delivery.Status.DEAD)
    return None


def _send(delivery: Delivery, now: datetime | None) -> bool:
    channel = delivery.channel
    try:
        if not delivery.kept_here:
            kind_of(channel).send(delivery)
    except DeliveryError as error:
        _note_failure(delivery, str(error), permanent=error.permanent, at=now or timezone.now())
        return False
    except Exception:
        # A fault of ours: it is logged in full, and the message goes the way of every other that did not arrive.
        logger.exception("delivery failed", delivery=delivery.id, channel=channel.id)
        _note_failure(
            delivery, "An error in SpendOps, which the log describes.", permanent=False, at=now or timezone.now()
        )
        return False
    at = now or timezone.now()
    with transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk).update(status=Delivery.Status.SENT, sent_at=at, error="")
        Channel.objects.filter(pk=channel.pk).update(last_sent_at=at, last_error="", last_error_at=None)
    return True


def _note_failure(delivery: Delivery, why: str, *, permanent: bool, at: datetime) -> None:
    again = None if permanent else next_attempt(delivery.attempts, at)
    ended = Delivery.Status.FAILED if permanent else Delivery.Status.DEAD
    changes: dict[str, Any] = {"status": ended} if again is None else {"next_at": again}
    logger.warning("delivery failed", delivery=delivery.id, attempts=delivery.attempts, permanent=permanent, why=why)
    with transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk).update(error=why[:300], **changes)
        Channel.objects.filter(pk=delivery.channel_id).update(last_error=why[:300], last_error_at=at)
