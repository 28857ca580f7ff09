"""Reads of the models that tenants selected for their tiers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import QuerySet

from pricing.models import ModelPrice, Selection
from pricing.selection_rules import mark_of, uses_of
from tenants.models import Tenant
from tenants.scope import tenant_scope
from wire.documents import TIERS, USES


def selections_of(tenant_id: str, *, project_id: str | None = None) -> QuerySet[Selection]:
    """A tenant's own selections, or those of one of its projects, by use and tier. Needs an open scope."""
    rows = Selection.objects.filter(tenant=tenant_id, project=project_id)
    return rows.select_related("project").order_by("use", "tier")


def effective_selections(tenant_id: str, project_id: str | None) -> list[Selection]:
    """What holds for a project: its own selections, and the tenant's where it has none; without one, the tenant's.

    Needs an open scope.
    """
    held = {(row.use, row.tier): row for row in selections_of(tenant_id)}
    if project_id is not None:
        held |= {(row.use, row.tier): row for row in selections_of(tenant_id, project_id=project_id)}
    return sorted(held.values(), key=lambda row: (USES.index(row.use), TIERS.index(row.tier)))


def all_selections(tenant_id: str) -> QuerySet[Selection]:
    """All selections of a tenant, its own before those of its projects. Needs an open scope."""
    rows = Selection.objects.filter(tenant=tenant_id).select_related("project")
    return rows.order_by("project__name", "use", "tier")


def selections_mark(tenant_id: str) -> str:
    """What stands for all selections of a tenant as they are now."""
    with tenant_scope(tenant_id):
        return mark_of(Selection.objects.filter(tenant=tenant_id).values_list("pk", "version"))


def selections_by_tenant(tenant_ids: Collection[str]) -> dict[str, list[Selection]]:
    """The selections of several tenants, in an order that does not change by itself. Needs an open scope."""
    found: dict[str, list[Selection]] = {}
    rows = Selection.objects.filter(tenant__in=tenant_ids)
    for row in sorted(rows, key=lambda row: (row.project_id or "", row.use, row.tier)):  # NULLs sort as engines like
        found.setdefault(row.tenant_id, []).append(row)
    return found


def tenants_with_selections() -> QuerySet[Any]:
    """The ids of the tenants that selected something. Needs an open scope."""
    return Tenant.objects.filter(pk__in=Selection.objects.values("tenant")).values_list("pk")


def current_price_of(provider: str, model: str) -> ModelPrice | None:
    """The prices of a model that is listed now, by exactly these names; None when there is none."""
    rows = ModelPrice.objects.filter(last_version=None, model__gone=False).select_related("model")
    return rows.filter(model__provider=provider, model__model_id=model).first()


def uses_by_price(price: ModelPrice) -> list[str]:
    """What the model of a price can be selected for."""
    row = price.model
    units = {unit for period in price.decoded().periods for unit in period.prices}
    return uses_of(provider=row.provider_id, model=row.model_id, capabilities=row.capabilities, priced_units=units)
