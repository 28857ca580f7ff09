"""Channels that alerts go to, and the deliveries that were made to them."""

from __future__ import annotations

from typing import Any

from django.db import models

from budgets.models import Crossing
from tenants.models import Tenant
from tenants.scope import TenantManager
from wire.ids import short_id


def new_channel_id() -> str:
    """An id such as `c_4k2m9x0c1v7b`."""
    return short_id("c")


def new_delivery_id() -> str:
    """An id such as `d_4k2m9x0c1v7b`."""
    return short_id("d")


class Channel(models.Model):
    """Where a tenant's alerts go. What `config` holds is said in `alerts.channels`; a secret in it is sealed."""

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        SLACK = "slack", "Slack"

    class Status(models.TextChoices):
        ACTIVE = "active"
        REMOVED = "removed"

    id = models.CharField(primary_key=True, max_length=32, default=new_channel_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    name = models.CharField(max_length=80)
    config = models.JSONField(default=dict)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    last_error = models.CharField(max_length=300, blank=True)  # of the last attempt; empty when it went well
    last_error_at = models.DateTimeField(null=True, blank=True)
    last_sent_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"], condition=models.Q(status="active"), name="active_channel_name_once"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One message for one channel: rendered when the alert was raised, then sent until it arrives.

    The row is the queue. A worker claims it with a conditional UPDATE that moves `next_at` ahead by a lease, so that
    of several only one sends, and a worker that dies leaves the message to the next sweep.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Refused"  # the receiver will never take it
        DEAD = "dead", "Given up"  # every attempt of the schedule went wrong

    class Kind(models.TextChoices):
        THRESHOLD = "threshold", "Budget threshold"
        RECOVERED = "recovered", "Budget recovered"
        TEST = "test", "Test message"

    id = models.CharField(primary_key=True, max_length=32, default=new_delivery_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="deliveries")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    alert = models.CharField(max_length=64)  # what it tells of, such as "crossing:12": once per channel
    crossing = models.ForeignKey(Crossing, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    error = models.CharField(max_length=300, blank=True)
    to = models.CharField(max_length=500, blank=True)  # whom it was for, as people read it
    subject = models.CharField(max_length=200)
    text = models.TextField()
    html = models.TextField(blank=True)
    blocks = models.JSONField(default=list, blank=True)
    kept_here = models.BooleanField(default=False)  # shown on the outbox page instead of being sent away
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "alert"], name="alert_once_per_channel")]
        indexes = [
            models.Index(fields=["next_at"], condition=models.Q(status="waiting"), name="delivery_waiting"),
            models.Index(fields=["tenant", "-created_at"], name="delivery_by_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.channel_id}"

    @property
    def payload(self) -> dict[str, Any]:
        """What Slack is sent."""
        return {"text": self.text, "blocks": self.blocks}
