"""Exports: files of a tenant's spend, usage or denials that a job writes."""

from __future__ import annotations

from django.db import models

from tenants.models import Tenant
from tenants.scope import TenantManager
from wire.ids import short_id


def new_export_id() -> str:
    """An id such as `x_4k2m9x0c1v7b`."""
    return short_id("x")


class Export(models.Model):
    """A file that was asked for: what is to be in it, how far its job is, and what came of it."""

    class Kind(models.TextChoices):
        SPEND = "spend", "Spend"
        USAGE = "usage", "Usage events"
        DENIALS = "denials", "Denials"
        FOCUS_1_2 = "focus-1.2", "FOCUS 1.2"
        FOCUS_1_4 = "focus-1.4", "FOCUS 1.4"

    class Format(models.TextChoices):
        CSV = "csv", "CSV"
        XLSX = "xlsx", "Excel (XLSX)"
        PARQUET = "parquet", "Parquet"

    class Status(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"
        EXPIRED = "expired"

    id = models.CharField(primary_key=True, max_length=32, default=new_export_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    format = models.CharField(max_length=8, choices=Format.choices)
    query = models.TextField()  # what is in it: a `spend.exports.wanted.Wanted`, written as an address's query
    require_complete = models.BooleanField(default=False)  # rather no file than a partial one
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.WAITING)
    rows = models.PositiveBigIntegerField(default=0)  # written so far
    total = models.PositiveBigIntegerField(null=True)  # to write, where that is known beforehand
    days_done = models.PositiveIntegerField(default=0)
    days = models.PositiveIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    complete_until = models.DateTimeField(null=True)  # all that gateways acknowledged until then is in it
    partial = models.JSONField(default=list)  # why it does not hold all of its period yet; empty: it does
    manifest = models.JSONField(default=dict)  # what the file says of itself, see `spend.exports.manifest`
    file = models.CharField(max_length=80, blank=True)  # its name on the disk; "" while there is none
    error = models.TextField(blank=True)
    created_by = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    claim = models.CharField(max_length=32, blank=True)  # of whoever works on it
    claimed_until = models.DateTimeField(null=True)  # whoever works on it renews this; after it, another may
    ended_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)  # the file is deleted then

    objects = TenantManager()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-created_at"], name="export_recent"),
            models.Index(fields=["status", "claimed_until"], name="export_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.status}"
