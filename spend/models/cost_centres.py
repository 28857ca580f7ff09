"""Cost centres and the rules that give usage to them."""

from __future__ import annotations

from django.db import models

from tenants.models import Tenant
from tenants.scope import TenantManager


class CostCentreBook(models.Model):
    """A tenant's cost centres and rules, as they hold: they are changed as a whole."""

    tenant = models.OneToOneField(Tenant, on_delete=models.PROTECT, primary_key=True, related_name="+")
    version = models.PositiveIntegerField(default=1)  # raised by each change: of two at once, the second is told
    book = models.JSONField(default=dict)  # a `spend.cost_centres.rules.Book`
    changed_at = models.DateTimeField(auto_now=True)

    objects = TenantManager()

    def __str__(self) -> str:
        return f"{self.tenant_id} version {self.version}"
