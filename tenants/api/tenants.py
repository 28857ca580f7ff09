"""Tenants: list, create, change; suspend and resume, archive and bring back."""

from __future__ import annotations

from typing import Annotated, Any, cast

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router

from tenants.actions.tenants import (
    archive_tenant,
    bring_back_tenant,
    change_tenant,
    create_tenant,
    resume_tenant,
    set_quotas,
    suspend_tenant,
)
from tenants.api.schemas import ReasonIn, TenantChange, TenantDetail, TenantIn, TenantPage, TenantQuery
from tenants.frame.callers import token_behind
from tenants.frame.idempotency import idempotent
from tenants.frame.operations import created, operation
from tenants.frame.paging import page_of
from tenants.frame.problems import ApiProblem
from tenants.gates import managed_tenant_for, may_manage_all, tenants_managed
from tenants.http import TenantRequest
from tenants.permissions import Permission

tenants = Router(tags=["Tenants"])

TenantId = Annotated[str, Path(pattern=r"^t_[0-9a-z]{1,30}$", description="The tenant's id.")]
_QUOTAS = ("keys_most", "projects_most")


@operation(tenants, "GET", "", Permission.TENANTS_CHANGE, answers={200: TenantPage}, summary="Tenants")
def list_tenants(request: HttpRequest, narrowed: Query[TenantQuery]) -> Any:
    """Every tenant of the installation, the newest first; a token of one tenant sees that one only."""
    rows = tenants_managed(cast(TenantRequest, request))
    if narrowed.status:
        rows = rows.filter(status=narrowed.status)
    return page_of(rows, narrowed, TenantDetail.model_validate, newest_by=("created_at", "id"), salt="tenants")


@operation(
    tenants, "POST", "", Permission.TENANTS_CREATE, answers={201: TenantDetail}, creates=True, summary="Create a tenant"
)
@idempotent
def create_tenant_named(request: HttpRequest, payload: TenantIn) -> HttpResponse:
    """With a first project, so that a key can be issued at once."""
    known = cast(TenantRequest, request)
    if not may_manage_all(known):
        raise ApiProblem(403, "scope_required", "A token of one tenant creates no other one. Nothing was changed.")
    return created(TenantDetail.model_validate(create_tenant(**payload.dict(), by=known.actor)))


@operation(
    tenants,
    "GET",
    "/{tenant_id}",
    Permission.TENANTS_CHANGE,
    Permission.SETTINGS_CHANGE,
    answers={200: TenantDetail},
    summary="One tenant",
)
def get_tenant(request: HttpRequest, tenant_id: TenantId) -> TenantDetail:
    return TenantDetail.model_validate(managed_tenant_for(cast(TenantRequest, request), tenant_id))


@operation(
    tenants,
    "PATCH",
    "/{tenant_id}",
    Permission.TENANTS_CHANGE,
    Permission.SETTINGS_CHANGE,
    answers={200: TenantDetail},
    conflicts=True,
    summary="Change a tenant",
)
def change_tenant_by_id(request: HttpRequest, tenant_id: TenantId, payload: TenantChange) -> TenantDetail:
    """What is left out stays. With `version`, a change that somebody made meanwhile is not overwritten."""
    known = cast(TenantRequest, request)
    tenant = managed_tenant_for(known, tenant_id)
    given = payload.dict(exclude_unset=True)
    quotas = {name: given.pop(name) for name in _QUOTAS if name in given}
    token = token_behind(request)
    if quotas and Permission.TENANTS_CHANGE not in (token.confirmed_scopes if token else known.permissions):
        raise ApiProblem(403, "permission_required", "Quotas are set by platform admins. Nothing was changed.")
    with transaction.atomic():
        tenant = change_tenant(tenant=tenant, **given, by=known.actor)
        if quotas:
            kept = {name: getattr(tenant, name) for name in _QUOTAS}
            tenant = set_quotas(tenant=tenant, **kept | quotas, by=known.actor)
    return TenantDetail.model_validate(tenant)


@operation(
    tenants,
    "POST",
    "/{tenant_id}/suspend",
    Permission.TENANTS_CHANGE,
    answers={200: TenantDetail},
    conflicts=True,
    summary="Suspend a tenant",
)
def suspend_tenant_by_id(request: HttpRequest, tenant_id: TenantId, payload: ReasonIn) -> TenantDetail:
    """The gateway refuses all its calls within a second: 402, `tenant_suspended`."""
    known = cast(TenantRequest, request)
    tenant = managed_tenant_for(known, tenant_id)
    return TenantDetail.model_validate(suspend_tenant(tenant=tenant, reason=payload.reason, by=known.actor))


@operation(
    tenants,
    "POST",
    "/{tenant_id}/resume",
    Permission.TENANTS_CHANGE,
    answers={200: TenantDetail},
    conflicts=True,
    summary="Resume a tenant",
)
def resume_tenant_by_id(request: HttpRequest, tenant_id: TenantId) -> TenantDetail:
    known = cast(TenantRequest, request)
    return TenantDetail.model_validate(resume_tenant(tenant=managed_tenant_for(known, tenant_id), by=known.actor))


@operation(
    tenants,
    "POST",
    "/{tenant_id}/archive",
    Permission.TENANTS_CHANGE,
    answers={200: TenantDetail},
    conflicts=True,
    summary="Archive a tenant",
)
def archive_tenant_by_id(request: HttpRequest, tenant_id: TenantId, payload: ReasonIn) -> TenantDetail:
    """It must be suspended. Nothing of it can be issued or changed then; its spend stays readable."""
    known = cast(TenantRequest, request)
    tenant = managed_tenant_for(known, tenant_id)
    return TenantDetail.model_validate(archive_tenant(tenant=tenant, reason=payload.reason, by=known.actor))


@operation(
    tenants,
    "POST",
    "/{tenant_id}/bring-back",
    Permission.TENANTS_CHANGE,
    answers={200: TenantDetail},
    conflicts=True,
    summary="Bring an archived tenant back",
)
def bring_back_tenant_by_id(request: HttpRequest, tenant_id: TenantId) -> TenantDetail:
    """It is suspended then: resume it to let its keys work."""
    known = cast(TenantRequest, request)
    return TenantDetail.model_validate(bring_back_tenant(tenant=managed_tenant_for(known, tenant_id), by=known.actor))
