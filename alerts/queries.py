"""Reads about channels and deliveries."""

from __future__ import annotations

from django.db.models import QuerySet

from alerts.models import Channel, Delivery
from tenants.models import Tenant


def deliveries_of(tenant: Tenant) -> QuerySet[Delivery]:
    """A tenant's messages, newest first."""
    rows: QuerySet[Delivery] = Delivery.objects.filter(tenant=tenant)
    return rows.select_related("channel").order_by("-created_at", "-id")


def channels_of(tenant: Tenant) -> list[Channel]:
    """A tenant's channels, the oldest first."""
    rows = Channel.objects.filter(tenant=tenant, status=Channel.Status.ACTIVE)
    return list(rows.order_by("created_at", "id"))
