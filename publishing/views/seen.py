"""Whose documents somebody may see: a tenant's people their own and the shared ones, a platform admin all."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from publishing.queries.writes import SHARED
from tenants.http import TenantRequest
from tenants.scope import across_tenants


def seen_by(request: TenantRequest) -> tuple[str, ...] | None:
    """The tenants whose documents the person may see; None for every tenant's."""
    return None if request.platform_admin else (request.tenant.id, SHARED)


def naming_scope(request: TenantRequest) -> AbstractContextManager[None]:
    """Names of keys are looked up in the tenant's scope, unless a platform admin looks at every tenant's documents."""
    return across_tenants("a platform admin reads the whole ledger") if request.platform_admin else nullcontext()


def page_end(request: TenantRequest) -> int | None:
    """The number that the page before ended with; None on the first page, and for what is no number."""
    text = request.GET.get("before", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
