"""Overrides: what a tenant is charged instead of list prices. List, create, look at one, change, archive."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Field, Path, Query, Router, Schema
from pydantic import ConfigDict, StringConstraints

from pricing.actions.overrides import archive_override, change_override, create_override
from pricing.models import Override
from pricing.override_rules import (
    MODEL_LONGEST,
    PRIORITY_MOST,
    PROVIDER_LONGEST,
    OverrideSettings,
    basis_points_from_text,
    percent_text,
    price_text,
    prices_from_text,
)
from pricing.queries_overrides import override_by_id, overrides_of
from tenants.api.schemas import Moment, Name, Version
from tenants.errors import InvalidSettingError
from tenants.frame.idempotency import idempotent
from tenants.frame.operations import created, operation
from tenants.frame.paging import Page, Paging, page_of
from tenants.http import TenantRequest
from tenants.permissions import Permission

overrides = Router(tags=["Overrides"])

_STRICT = ConfigDict(extra="forbid")
_WHEN = "2026-12-01T00:00:00Z"
OverrideId = Annotated[str, Path(pattern=r"^o_[0-9a-z]{1,30}$", description="The override's id.")]
ProviderPattern = Annotated[str, StringConstraints(min_length=1, max_length=PROVIDER_LONGEST)]
ModelPattern = Annotated[str, StringConstraints(min_length=1, max_length=MODEL_LONGEST)]
Kind = Literal["absolute", "percent", "free"]
Percent = Annotated[str, StringConstraints(min_length=1, max_length=16)]
Usd = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Priority = Annotated[int, Field(ge=-PRIORITY_MOST, le=PRIORITY_MOST)]
_PRICES = (
    "Of an absolute one: USD by unit, as price lists quote them, which is for a million tokens, characters or pixels, "
    "and for one of anything else. A unit that is not named keeps its list price."
)
_PERCENT = "Of a percentage: “-15” is 15% off, “2.5” is 2.5% on top of the list price."
_ENDS = "The first moment at which it holds no more; null: it does not end."


class OverrideOut(Schema):
    """An override."""

    id: str = Field(examples=["o_4k2m9x0c1v7b"])
    name: str = Field(examples=["Volume discount"])
    status: Literal["active", "archived"]
    project_id: str | None = Field(description="null: all projects.", examples=[None])
    provider: str = Field(description="A name, or part of one with * for the rest.", examples=["openai"])
    model: str = Field(examples=["gpt-4o*"])
    kind: Kind
    percent: str | None = Field(description=_PERCENT, examples=["-15"])
    prices: dict[str, str] = Field(description=_PRICES, examples=[{"input": "0.15"}])
    prices_pico: dict[str, str] = Field(description="The same in pico-USD per unit.", examples=[{"input": "150000"}])
    starts_at: datetime = Field(examples=[_WHEN])
    ends_at: datetime | None = Field(description=_ENDS, examples=[None])
    priority: int = Field(description="The higher goes first; a project's own go before all others.", examples=[0])
    version: int = Field(description="Send it back with a change.", examples=[1])
    created_at: datetime = Field(examples=[_WHEN])


class OverridePage(Page[OverrideOut]):
    """A page of overrides."""


class OverrideQuery(Paging):
    """What the list is narrowed to."""

    status: Literal["", "active", "archived"] = Field("", examples=["active"])


class OverrideIn(Schema):
    """An override to create."""

    model_config = _STRICT

    name: Name = Field(examples=["Volume discount"])
    kind: Kind
    provider: ProviderPattern = "*"
    model: ModelPattern = "*"
    project_id: str | None = Field(None, max_length=32, description="null: all projects.")
    percent: Percent | None = Field(None, description=_PERCENT, examples=["-15"])
    prices: dict[str, Usd] = Field({}, max_length=100, description=_PRICES)
    starts_at: Moment | None = Field(None, description="Without it, it begins now.")
    ends_at: Moment | None = Field(None, description=_ENDS)
    priority: Priority = 0


class OverrideChange(Schema):
    """What of an override to change; what is left out stays. Another kind begins without prices and percentage."""

    model_config = _STRICT

    name: Name | None = None
    kind: Kind | None = None
    provider: ProviderPattern | None = None
    model: ModelPattern | None = None
    project_id: str | None = Field(None, max_length=32, description="null: all projects.")
    percent: Percent | None = Field(None, description=_PERCENT, examples=["-15"])
    prices: dict[str, Usd] | None = Field(None, max_length=100, description=_PRICES)
    starts_at: Moment | None = None
    ends_at: Moment | None = Field(None, description=_ENDS)
    priority: Priority | None = None
    version: Version = None


class OverrideEnd(Schema):
    """An override to archive."""

    model_config = _STRICT

    version: Version = None


@operation(overrides, "GET", "", Permission.OVERRIDES_VIEW, answers={200: OverridePage}, summary="Overrides")
def list_overrides(request: HttpRequest, query: Query[OverrideQuery]) -> Any:
    """The tenant's overrides, the newest first."""
    rows = overrides_of(cast(TenantRequest, request).tenant.id, status=query.status)
    return page_of(rows, query, shown, newest_by=("created_at", "id"), salt="overrides")


@operation(
    overrides,
    "POST",
    "",
    Permission.OVERRIDES_CHANGE,
    answers={201: OverrideOut},
    creates=True,
    summary="Create an override",
)
@idempotent
def create_override_of_tenant(request: HttpRequest, payload: OverrideIn) -> HttpResponse:
    """Gateways charge by it within a second. The cost stays the provider's."""
    known = cast(TenantRequest, request)
    wanted = OverrideSettings(
        name=payload.name,
        kind=payload.kind,
        provider=payload.provider,
        model=payload.model,
        project=payload.project_id or "",
        prices=_prices(payload.prices),
        basis_points=_basis_points(payload.percent),
        starts_at=payload.starts_at or timezone.now(),
        ends_at=payload.ends_at,
        priority=payload.priority,
    )
    return created(shown(create_override(tenant=known.tenant, wanted=wanted, by=known.actor)))


@operation(
    overrides,
    "GET",
    "/{override_id}",
    Permission.OVERRIDES_VIEW,
    answers={200: OverrideOut},
    summary="One override",
)
def get_override(request: HttpRequest, override_id: OverrideId) -> OverrideOut:
    return shown(_override_for(request, override_id))


@operation(
    overrides,
    "PATCH",
    "/{override_id}",
    Permission.OVERRIDES_CHANGE,
    answers={200: OverrideOut},
    conflicts=True,
    summary="Change an override",
)
def change_override_by_id(request: HttpRequest, override_id: OverrideId, payload: OverrideChange) -> OverrideOut:
    """It then says the same of past calls, should they be priced anew: to charge differently from a moment on, end it
    and create another. With `version`, a change that somebody made meanwhile is not overwritten.
    """
    row = _override_for(request, override_id)
    given = payload.dict(exclude_unset=True)
    kind = given.get("kind") or row.kind
    same = kind == row.kind
    wanted = OverrideSettings(
        name=given.get("name") or row.name,
        kind=kind,
        provider=given.get("provider") or row.provider,
        model=given.get("model") or row.model,
        project=given.get("project_id", row.project_id) or "",
        prices=_prices(given["prices"] or {}) if "prices" in given else row.prices if same else {},
        basis_points=_basis_points(given["percent"]) if "percent" in given else row.basis_points if same else 0,
        starts_at=given.get("starts_at") or row.starts_at,
        ends_at=given.get("ends_at", row.ends_at),
        priority=row.priority if given.get("priority") is None else given["priority"],
    )
    by = cast(TenantRequest, request).actor
    return shown(change_override(override=row, wanted=wanted, version=payload.version, by=by))


@operation(
    overrides,
    "POST",
    "/{override_id}/archive",
    Permission.OVERRIDES_CHANGE,
    answers={200: OverrideOut},
    conflicts=True,
    summary="Archive an override",
)
def archive_override_by_id(request: HttpRequest, override_id: OverrideId, payload: OverrideEnd) -> OverrideOut:
    """It ends now. Calls that were made under it keep its price."""
    row = _override_for(request, override_id)
    return shown(archive_override(override=row, version=payload.version, by=cast(TenantRequest, request).actor))


def shown(row: Override) -> OverrideOut:
    """An override as the API gives it."""
    return OverrideOut.model_validate(
        {
            "id": row.pk,
            "name": row.name,
            "status": row.status,
            "project_id": row.project_id,
            "provider": row.provider,
            "model": row.model,
            "kind": row.kind,
            "percent": percent_text(row.basis_points) if row.kind == Override.Kind.PERCENT else None,
            "prices": {unit: price_text(unit, pico) for unit, pico in row.prices.items()},
            "prices_pico": {unit: str(pico) for unit, pico in row.prices.items()},
            "starts_at": row.starts_at,
            "ends_at": row.ends_at,
            "priority": row.priority,
            "version": row.version,
            "created_at": row.created_at,
        }
    )


def _override_for(request: HttpRequest, override_id: str) -> Override:
    row = override_by_id(cast(TenantRequest, request).tenant.id, override_id)
    if row is None:
        raise Http404("There is nothing at this address.")
    return row


def _prices(typed: dict[str, str]) -> dict[str, int]:
    try:
        return prices_from_text(typed)
    except ValueError as error:
        raise InvalidSettingError(str(error), field="prices") from error


def _basis_points(typed: str | None) -> int:
    if typed is None:
        return 0
    try:
        return basis_points_from_text(typed)
    except ValueError as error:
        raise InvalidSettingError(str(error), field="percent") from error
