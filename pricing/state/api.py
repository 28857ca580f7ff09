"""The state service's operations: the catalogue, and which models tiers stand for."""

from __future__ import annotations

import hashlib
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import parse_etags
from ninja import Query, Router

from pricing.actions.selections import clear_selection, select_model
from pricing.models import Selection
from pricing.queries_selections import effective_selections, selections_mark
from pricing.state.catalog import Wanted, rendering
from pricing.state.door import SharedToken
from pricing.state.schemas import (
    CatalogOut,
    CatalogQuery,
    SelectionIn,
    SelectionOut,
    SelectionQuery,
    SelectionsOut,
)
from tenants.errors import InvalidSettingError, StaleError
from tenants.frame.operations import operation
from tenants.frame.problems import ApiProblem, Problem
from tenants.http import TenantRequest
from tenants.models import Project, Tenant
from tenants.permissions import Permission
from tenants.scope import tenant_scope

state = Router(tags=["State service"])
_JSON = "application/json; charset=utf-8"


@operation(
    state,
    "GET",
    "/catalog",
    Permission.PRICES_VIEW,
    answers={200: CatalogOut, 304: None},
    also=(SharedToken,),
    summary="Models that are listed now",
)
def get_catalog(request: HttpRequest, wanted: Query[CatalogQuery]) -> Any:
    """With prices as they hold at this moment. Answers 304 to an If-None-Match that is still true."""
    words = tuple(wanted.q.lower().split())
    body = rendering().body(Wanted(wanted.provider, wanted.tier, wanted.use, words, wanted.deprecated))
    return _conditional(request, body, hashlib.sha256(body).hexdigest()[:32])


@operation(
    state,
    "GET",
    "/selection",
    Permission.PRICES_VIEW,
    answers={200: SelectionsOut, 304: None, 404: Problem},
    also=(SharedToken,),
    summary="Models that tiers stand for",
)
def get_selection(request: HttpRequest, asked: Query[SelectionQuery]) -> Any:
    """Of a tenant, or what holds for one of its projects. The ETag is that of all of the tenant's selections."""
    tenant = _tenant(request, asked.tenant)
    with tenant_scope(tenant.id):
        project = _project(tenant, asked.project)
        mark = selections_mark(tenant.id)
        found = [_shown(row) for row in effective_selections(tenant.id, project.id if project else None)]
    shown = SelectionsOut(tenant=tenant.id, project_id=project.id if project else None, selections=found)
    return _conditional(request, shown.model_dump_json().encode(), mark)


@operation(
    state,
    "PUT",
    "/selection",
    Permission.SELECTION_CHANGE,
    answers={200: SelectionOut, 404: Problem, 412: Problem},
    also=(SharedToken,),
    conflicts=True,
    summary="Select a model for a tier",
)
def put_selection(request: HttpRequest, payload: SelectionIn) -> HttpResponse:
    """Gateways know within a second. With `version`, or the ETag as If-Match, nobody's change is overwritten unseen."""
    tenant = _tenant(request, payload.tenant)
    marks = parse_etags(request.headers.get("If-Match", ""))
    with tenant_scope(tenant.id):
        about: dict[str, Any] = {
            "tenant": tenant,
            "project": _named_project(tenant, payload.project_id),
            "use": payload.use,
            "tier": payload.tier,
            "version": payload.version,
            "mark": _mark_of(tenant, marks),
            "by": cast(TenantRequest, request).actor,
        }
        try:
            if payload.provider is None or payload.model is None:
                clear_selection(**about)
                row = None
            else:
                row = select_model(**about, provider=payload.provider, model=payload.model)
        except StaleError as error:
            if not marks:
                raise
            raise ApiProblem(412, "stale", error.message) from error
        shown = _shown(row) if row is not None else _nothing(payload)
        response = HttpResponse(shown.model_dump_json(), content_type=_JSON)
        response.headers["ETag"] = f'"{selections_mark(tenant.id)}"'
    return response


def _tenant(request: HttpRequest, named: str) -> Tenant:
    """The caller's own tenant, which may be named; with the shared token alone it must be. Raises Http404."""
    own = cast(TenantRequest, request).tenant
    if own is not None:
        if named and named != own.id:
            raise Http404
        return own
    if not named:
        raise ApiProblem(422, "tenant_required", "Say which tenant is meant: send its id as `tenant`.")
    found = Tenant.objects.filter(id=named).first()
    if found is None:
        raise Http404
    return found


def _project(tenant: Tenant, named: str) -> Project | None:
    if not named:
        return None
    found: Project | None = Project.objects.filter(tenant=tenant, id=named).first()
    if found is None:
        raise Http404
    return found


def _named_project(tenant: Tenant, named: str | None) -> Project | None:
    try:
        return _project(tenant, named or "")
    except Http404 as error:
        raise InvalidSettingError("There is no project with this id: see /projects.", field="project_id") from error


def _mark_of(tenant: Tenant, marks: list[str]) -> str | None:
    """Which of the marks of If-Match the selections must still have; None for any, as `*` says."""
    if not marks or marks == ["*"]:
        return None
    known = [each.strip('"') for each in marks]
    now = selections_mark(tenant.id)
    return now if now in known else known[0]


def _shown(row: Selection) -> SelectionOut:
    return SelectionOut.model_validate(row)


def _nothing(payload: SelectionIn) -> SelectionOut:
    return SelectionOut(
        project_id=payload.project_id or None,
        use=payload.use,
        tier=payload.tier,
        provider=None,
        model=None,
        version=0,
    )


def _conditional(request: HttpRequest, body: bytes, mark: str) -> HttpResponse:
    """The body, or 304 when the caller has it already."""
    response = HttpResponse(body, content_type=_JSON)
    response.headers["ETag"] = f'"{mark}"'
    response.headers["Cache-Control"] = "private, no-cache"
    found = get_conditional_response(request, etag=f'"{mark}"', response=response)
    return cast(HttpResponse, found)
