"""Reads of a tenant's overrides, within its scope."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from django.db.models import F, OuterRef, QuerySet, Subquery

from pricing.models import Override, OverrideBook
from tenants.models import Tenant
from tenants.scope import tenant_scope
from wire.documents import SCHEMA
from wire.overrides import OverrideRule, Overrides, TenantPricing


def overrides_of(tenant_id: str, *, status: str = "") -> QuerySet[Override]:
    """A tenant's overrides, the newest first; those of one status only, when it is said. Needs an open scope."""
    rows = Override.objects.filter(tenant=tenant_id).select_related("project").order_by("-created_at", "-id")
    return rows.filter(status=status) if status else rows


def override_by_id(tenant_id: str, override_id: str) -> Override | None:
    """One override of a tenant; None when it has none with this id."""
    with tenant_scope(tenant_id):
        found: Override | None = Override.objects.filter(tenant=tenant_id, pk=override_id).first()
        return found


def newest_version(tenant_id: str) -> int:
    """The version of a tenant's overrides that holds now; 0 before the first."""
    with tenant_scope(tenant_id):
        books = OverrideBook.objects.filter(tenant=tenant_id).order_by("-version")
        return books.values_list("version", flat=True).first() or 0


def book_of(tenant_id: str, version: int) -> OverrideBook | None:
    """A tenant's overrides as they were at a version; None when there is no such version."""
    with tenant_scope(tenant_id):
        found: OverrideBook | None = OverrideBook.objects.filter(tenant=tenant_id, version=version).first()
        return found


def newest_books(tenant_ids: Collection[str]) -> dict[str, OverrideBook]:
    """The newest books of several tenants, by tenant; those without overrides are absent. Needs an open scope."""
    books = OverrideBook.objects.filter(tenant__in=tenant_ids)
    of_tenant = OverrideBook.objects.filter(tenant=OuterRef("tenant")).order_by("-version")
    newest = books.annotate(newest=Subquery(of_tenant.values("version")[:1])).filter(version=F("newest"))
    return {book.tenant_id: book for book in newest}


def tenants_with_overrides() -> QuerySet[Any]:
    """The ids of the tenants that have, or had, overrides. Needs an open scope."""
    with_books = OverrideBook.objects.values("tenant")
    return Tenant.objects.filter(pk__in=with_books).values_list("pk")


def rules_in(book: OverrideBook) -> tuple[OverrideRule, ...]:
    """The rules of a book in the order in which they are tried."""
    return msgspec.convert(book.rules, tuple[OverrideRule, ...])


def finder_of(tenant_id: str, version: int) -> Overrides | None:
    """What finds the rule for a call, as a gateway does; None when there is no such version. Version 0 has no rules."""
    if version == 0:
        return _finder(tenant_id, 0, ())
    book = book_of(tenant_id, version)
    return None if book is None else _finder(tenant_id, version, rules_in(book))


def current_overrides(tenant_id: str) -> Overrides:
    """What finds the rule for a call by a tenant's overrides as they are now."""
    found = finder_of(tenant_id, newest_version(tenant_id))
    assert found is not None  # noqa: S101 - books are never deleted
    return found


def _finder(tenant_id: str, version: int, rules: tuple[OverrideRule, ...]) -> Overrides:
    return Overrides(TenantPricing(schema=SCHEMA, rev=0, env="", tenant=tenant_id, version=version, rules=rules))
