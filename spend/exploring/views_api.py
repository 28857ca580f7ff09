"""Saved views by programs, as the person who is signed in: one's own, and those that are shared with the tenant."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, cast

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Field, Path, Query, Router, Schema, Status
from pydantic import ConfigDict

from spend.exploring.actions import QUERY_LONGEST, begin_with, change_view, delete_view, save_view
from spend.exploring.queries import default_view, may_change, may_share, view_for, views_seen
from spend.models import SavedView
from tenants.errors import RefusedError
from tenants.frame.idempotency import idempotent
from tenants.frame.operations import created, operation
from tenants.frame.paging import Page, Paging, page_of
from tenants.http import TenantRequest
from tenants.permissions import Permission

saved_views = Router(tags=["Saved views"])

ViewId = Annotated[str, Path(pattern=r"^v_[0-9a-z]{1,30}$", description="The view's id.", examples=["v_4k2m9x0c1v7b"])]
_QUERY = "What the address of the Explore page says behind its question mark."
_NAME_LONGEST = 120
NOT_YOURS = "Only its owner or a tenant admin can change this view: save it under a name of your own."
NO_SHARING = "Your role does not share views: keep this one for yourself."


class ViewOut(Schema):
    """An address of the Explore page under a name. It holds no figures."""

    id: str = Field(examples=["v_4k2m9x0c1v7b"])
    name: str = Field(examples=["Weekly by project"])
    query: str = Field(description=_QUERY, examples=["by=project&period=7d&not-env=dev"])
    shared: bool = Field(description="Whoever may see spend of the tenant may use it.", examples=[False])
    owner_id: str = Field(examples=["u_5n0q2d8s6w1f"])
    may_change: bool = Field(description="By you: its owner, or of a shared one a tenant admin.", examples=[True])
    begins: bool = Field(description="Your Explore page begins with it.", examples=[False])
    created_at: datetime
    changed_at: datetime


class ViewIn(Schema):
    """A view that is to be kept."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=_NAME_LONGEST, examples=["Weekly by project"])
    query: str = Field(max_length=QUERY_LONGEST, description=_QUERY, examples=["by=project&period=7d&not-env=dev"])
    shared: bool = Field(False, description="Needs a role that sees all of the tenant's spend.")


class ViewChange(Schema):
    """What is to be different; the rest stays."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("", max_length=_NAME_LONGEST, examples=["Weekly by project"])
    query: str = Field("", max_length=QUERY_LONGEST, description=_QUERY, examples=["by=project&period=7d"])
    shared: bool = Field(False, examples=[True])
    begins: bool = Field(False, description="Let your Explore page begin with it, or as usual again.", examples=[True])


@operation(
    saved_views,
    "GET",
    "",
    Permission.SPEND_VIEW,
    Permission.SPEND_VIEW_OWN,
    answers={200: Page[ViewOut]},
    people_only=True,
    summary="Saved views, the newest first",
)
def list_views(request: HttpRequest, paging: Query[Paging]) -> Any:
    """Your own, and those that are shared with the tenant."""
    known = cast(TenantRequest, request)
    begins = default_view(known.tenant, known.user)
    rows = views_seen(known.tenant, known.user)
    return page_of(
        rows, paging, lambda row: _shown(known, row, begins), newest_by=("created_at", "id"), salt="saved views"
    )


@operation(
    saved_views,
    "POST",
    "",
    Permission.SPEND_VIEW,
    Permission.SPEND_VIEW_OWN,
    answers={201: ViewOut},
    people_only=True,
    creates=True,
    summary="Save a view",
)
@idempotent
def create_view(request: HttpRequest, payload: ViewIn) -> HttpResponse:
    """The address is checked and kept as the page itself would write it."""
    known = cast(TenantRequest, request)
    _check_sharing(known, payload.shared)
    made = save_view(
        tenant=known.tenant,
        owner=known.user,
        name=payload.name,
        query=payload.query,
        shared=payload.shared,
        by=known.actor,
    )
    return created(ViewOut(**_shown(known, made, None)))


@operation(
    saved_views,
    "GET",
    "/{view_id}",
    Permission.SPEND_VIEW,
    Permission.SPEND_VIEW_OWN,
    answers={200: ViewOut},
    people_only=True,
    summary="One saved view",
)
def get_view(request: HttpRequest, view_id: ViewId) -> Any:
    """404 for somebody else's that is not shared."""
    known = cast(TenantRequest, request)
    return _shown(known, view_for(known, view_id), default_view(known.tenant, known.user))


@operation(
    saved_views,
    "PATCH",
    "/{view_id}",
    Permission.SPEND_VIEW,
    Permission.SPEND_VIEW_OWN,
    answers={200: ViewOut},
    people_only=True,
    conflicts=True,
    summary="Change a saved view",
)
def patch_view(request: HttpRequest, view_id: ViewId, payload: ViewChange) -> Any:
    """What is left out stays. `begins` is about you alone, so it may be said of any view that you may use."""
    known = cast(TenantRequest, request)
    given = payload.dict(exclude_unset=True)
    with transaction.atomic():
        view = view_for(known, view_id)
        begins = given.pop("begins", None)
        if given:
            _check_change(known, view)
            _check_sharing(known, given.get("shared", False))
            view = change_view(view=view, by=known.actor, **given)
        now = default_view(known.tenant, known.user)
        if begins is not None and begins != (now == view):
            begin_with(tenant=known.tenant, user=known.user, view=view if begins else None)
    return _shown(known, view, default_view(known.tenant, known.user))


@operation(
    saved_views,
    "DELETE",
    "/{view_id}",
    Permission.SPEND_VIEW,
    Permission.SPEND_VIEW_OWN,
    answers={204: None},
    people_only=True,
    conflicts=True,
    summary="Delete a saved view",
)
def delete_view_by_id(request: HttpRequest, view_id: ViewId) -> Any:
    """Explore begins as usual for whoever began with it."""
    known = cast(TenantRequest, request)
    view = view_for(known, view_id)
    _check_change(known, view)
    delete_view(view=view, by=known.actor)
    return Status(204, None)


def _check_change(request: TenantRequest, view: SavedView) -> None:
    if not may_change(request, view):
        raise RefusedError(NOT_YOURS)


def _check_sharing(request: TenantRequest, shared: bool) -> None:
    if shared and not may_share(request):
        raise RefusedError(NO_SHARING, field="shared")


def _shown(request: TenantRequest, view: SavedView, begins: SavedView | None) -> dict[str, Any]:
    plain = ("name", "query", "shared", "owner_id", "created_at", "changed_at")
    return {name: getattr(view, name) for name in plain} | {
        "id": view.pk,
        "may_change": may_change(request, view),
        "begins": view == begins,
    }
