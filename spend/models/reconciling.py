"""Providers' invoices that were compared with our sums."""

from __future__ import annotations

from django.db import models

from tenants.models import Tenant
from tenants.scope import TenantManager
from wire.ids import short_id


def new_comparison_id() -> str:
    """An id such as `ic_4k2m9x0c1v7b`."""
    return short_id("ic")


class InvoiceComparison(models.Model):
    """A provider's cost export beside what we counted of the same UTC days, as both were at that moment."""

    id = models.CharField(primary_key=True, max_length=32, default=new_comparison_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=32)  # of file: a name of `spend.reconciling.invoices.KINDS`
    provider = models.CharField(max_length=64)
    file_name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)  # SHA-256 of the file
    usage_file = models.CharField(max_length=200, blank=True)  # of the provider's tokens, "" without
    tolerance = models.BigIntegerField()  # pico-USD of a day and model: below it is rounding
    first = models.DateField()  # UTC days, both included
    last = models.DateField()
    rows = models.JSONField(default=list)  # `spend.reconciling.classify.Row`s, by day and model
    totals = models.JSONField(default=dict)  # pico-USD as texts: theirs, ours, and each class
    errors = models.JSONField(default=list)  # [line, path, why] of the first lines that could not be read
    refused = models.PositiveIntegerField(default=0)  # how many of them there were
    created_by = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "-created_at"], name="invoice_recent")]

    def __str__(self) -> str:
        return f"{self.id} {self.provider} {self.first} to {self.last}"
