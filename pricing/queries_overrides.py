"""Reads of a tenant's overrides, within its scope."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, When
from django.utils import timezone

from pricing.models import Override, OverrideBook
from pricing.override_rules import OverrideSettings, in_order
from tenants.models import Tenant
from tenants.scope import tenant_scope
from wire.documents import SCHEMA
from wire.overrides import OverrideRule, Overrides, TenantPricing


def overrides_of(tenant_id: str, *, status: str = "") -> QuerySet[Override]:
    """A tenant's overrides, the newest first; those of one status only, when it is said. Needs an open scope."""
    rows = Override.objects.filter(tenant=tenant_id).select_related("project").order_by("-created_at", "-id")
    return rows.filter(status=status) if status else rows


def overrides_as_tried(tenant_id: str, now: datetime) -> QuerySet[Override]:
    """A tenant's overrides that hold or are to begin, in the order of `override_rules.in_order`.

    Needs an open scope.
    """
    rows: QuerySet[Override] = Override.objects.filter(tenant=tenant_id, status=Override.Status.ACTIVE).exclude(
        ends_at__lte=now
    )
    of_all = Case(When(project=None, then=1), default=0)
    return rows.select_related("project").order_by(of_all, "-priority", "-created_at", "-pk")


def ended_overrides(tenant_id: str, now: datetime) -> QuerySet[Override]:
    """A tenant's overrides that hold no more, the last to end first. Needs an open scope."""
    over = Q(status=Override.Status.ARCHIVED) | Q(ends_at__lte=now)
    rows: QuerySet[Override] = Override.objects.filter(over, tenant=tenant_id)
    return rows.select_related("project").order_by("-ends_at", "-pk")


def held_overrides(tenant_id: str) -> QuerySet[Override]:
    """The overrides that a tenant's rules are made of: in force, to come, and ended ones, whose calls keep their price.

    Needs an open scope.
    """
    held = Q(status=Override.Status.ACTIVE) | Q(ends_at__gt=F("starts_at"))
    rows: QuerySet[Override] = Override.objects.filter(held, tenant=tenant_id)
    return rows


def rules_with(
    tenant_id: str, wanted: OverrideSettings | None, *, instead_of: Override | None = None
) -> tuple[OverrideRule, ...]:
    """A tenant's rules as if an override were among them, at all times; without `wanted`, as if one were not.

    `instead_of` is the one that is changed, or left out. `wanted` is clean.
    """
    with tenant_scope(tenant_id):
        rows = list(held_overrides(tenant_id).exclude(pk=instead_of.pk if instead_of else ""))
    if wanted is None:
        return in_order(rows)
    assumed = Override(
        tenant_id=tenant_id,
        project_id=wanted.project or None,
        name=wanted.name,
        provider=wanted.provider,
        model=wanted.model,
        kind=wanted.kind,
        prices=dict(wanted.prices),
        basis_points=wanted.basis_points,
        starts_at=wanted.starts_at,
        priority=wanted.priority,
        created_at=instead_of.created_at if instead_of else timezone.now(),
    )
    if instead_of is not None:
        assumed.pk = instead_of.pk
    return tuple(
        msgspec.structs.replace(rule, start=0, end=0) if rule.id == assumed.pk else rule
        for rule in in_order([*rows, assumed])
    )


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


def finders_of(tenant_ids: Collection[str]) -> Mapping[str, Overrides]:
    """What finds the rules of tenants as they are now; those without overrides are absent. Needs an open scope."""
    return {tenant: _finder(tenant, book.version, rules_in(book)) for tenant, book in newest_books(tenant_ids).items()}


def finder_with(tenant_id: str, rules: Sequence[OverrideRule]) -> Overrides:
    """What finds a tenant's rule among some that were never published, such as those of `rules_with`."""
    return _finder(tenant_id, 0, tuple(rules))


def _finder(tenant_id: str, version: int, rules: tuple[OverrideRule, ...]) -> Overrides:
    return Overrides(TenantPricing(schema=SCHEMA, rev=0, env="", tenant=tenant_id, version=version, rules=rules))
