"""Forecasts: one a tenant, made anew each day and whenever its history changes."""

from __future__ import annotations

from django.db import models

from tenants.models import Tenant
from tenants.scope import TenantManager


class Forecast(models.Model):
    """What the days from `first` on will cost a tenant. Lists are of decimal texts, USD, a day each.

    `daily` is each day's middle; `low`, `mid` and `high` are of the sum from `first` to that day.
    """

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, primary_key=True, related_name="+")
    first = models.DateField()  # the tenant's day on which it was made
    method = models.CharField(max_length=16)  # of spend.forecasts.fitting
    history_days = models.PositiveIntegerField()
    daily = models.JSONField()
    low = models.JSONField()
    mid = models.JSONField()
    high = models.JSONField()
    check_then = models.JSONField(null=True)  # a `spend.forecasts.fitting.Check`; None without enough history
    digest = models.CharField(max_length=64)  # of the history that it was made from
    made_at = models.DateTimeField(auto_now=True)

    objects = TenantManager()

    def __str__(self) -> str:
        return f"{self.tenant_id} from {self.first}"
