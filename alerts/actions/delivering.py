"""An alert becomes deliveries: rendered here, in full, for each channel."""

from __future__ import annotations

from datetime import datetime

from alerts.channels import kind_of
from alerts.content import Alert
from alerts.models import Channel, Delivery
from tenants.models import Tenant


def deliver_to_all(tenant: Tenant, alert: Alert, *, now: datetime) -> list[Delivery]:
    """Put an alert on every channel of a tenant, inside the caller's transaction."""
    channels = Channel.objects.filter(tenant=tenant, status=Channel.Status.ACTIVE).order_by("created_at", "id")
    return [deliver(channel, alert, now=now) for channel in channels]


def deliver(channel: Channel, alert: Alert, *, now: datetime) -> Delivery:
    """Put an alert on one channel, inside the caller's transaction."""
    kind = kind_of(channel)
    message = kind.render(alert)
    return Delivery.objects.create(
        tenant_id=channel.tenant_id,
        channel=channel,
        kind=alert.kind,
        alert=alert.id,
        crossing=alert.crossing,
        next_at=now,
        to=kind.target(channel)[:500],
        subject=message.subject[:200],
        text=message.text,
        html=message.html,
        blocks=message.blocks,
        kept_here=kind.keeps_here(channel),
    )
