"""Anomalies: a row a tenant's day, project and model. Figures are those of the last look."""

from __future__ import annotations

from django.db import models

from tenants.models import Tenant
from tenants.scope import TenantManager
from wire.ids import short_id


def new_anomaly_id() -> str:
    """An id such as `y_4k2m9x0c1v7b`."""
    return short_id("y")


class Anomaly(models.Model):
    """A day on which a project's model cost far more than expected. Amounts in micro-USD."""

    class Status(models.TextChoices):
        OPEN = "open"
        DISMISSED = "dismissed"
        EXPECTED = "expected"  # feedback: it was meant to be so
        CONFIRMED = "confirmed"  # feedback: it was a problem
        GONE = "gone"  # the day came to less after all: it was priced anew

    id = models.CharField(primary_key=True, max_length=32, default=new_anomaly_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    project_id = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=400, blank=True)
    charge = models.BigIntegerField()
    expected = models.BigIntegerField()
    bound = models.BigIntegerField()
    key_id = models.CharField(max_length=64, blank=True)  # whose spend rose the most
    key_share = models.PositiveSmallIntegerField(default=0)  # of what is above expected, percent
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.OPEN)
    note = models.CharField(max_length=500, blank=True)
    settled_by = models.CharField(max_length=64, blank=True)
    settled_at = models.DateTimeField(null=True)
    found_at = models.DateTimeField(auto_now_add=True)
    looked_at = models.DateTimeField(auto_now=True)

    objects = TenantManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "day", "project_id", "model"], name="anomaly_once"),
        ]
        indexes = [models.Index(fields=["tenant", "-day"], name="anomaly_recent")]

    def __str__(self) -> str:
        return f"{self.day} {self.project_id} {self.model}"
