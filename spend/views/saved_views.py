"""Saved views of spend: keep one, rename, share, delete, begin with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from spend.exploring.actions import begin_with, change_view, delete_view, save_view
from spend.exploring.queries import default_view, may_change, may_share, view_for, views_seen
from spend.exploring.views_api import NO_SHARING, NOT_YOURS
from spend.models import SavedView
from tenants.errors import RefusedError
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """All views that the person may use."""
    request = cast(TenantRequest, request)
    begins = default_view(request.tenant, request.user)
    rows = [
        {
            "view": view,
            "own": view.owner_id == request.user.pk,
            "changes": may_change(request, view),
            "begins": view == begins,
        }
        for view in views_seen(request.tenant, request.user)
    ]
    return render(request, "spend/saved_views.html", {"rows": rows, "shares": may_share(request)})


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def one(request: HttpRequest, view_id: str) -> HttpResponse:
    """The Explore page as the view has it."""
    view = view_for(cast(TenantRequest, request), view_id)
    return HttpResponseRedirect(address_of(view))


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Keep the address that the Explore page showed."""
    request = cast(TenantRequest, request)
    query, shared = request.POST.get("query", ""), "shared" in request.POST
    if shared and not may_share(request):
        messages.error(request, NO_SHARING)
        return HttpResponseRedirect(f"{reverse('spend:explore')}?{query}")
    try:
        view = save_view(
            tenant=request.tenant,
            owner=request.user,
            name=request.POST.get("name", ""),
            query=query,
            shared=shared,
            by=request.actor,
        )
    except RefusedError as error:
        messages.error(request, error.message)
        return HttpResponseRedirect(f"{reverse('spend:explore')}?{query}")
    messages.success(request, f"The view “{view.name}” is saved.")
    return HttpResponseRedirect(address_of(view))


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_POST
def change(request: HttpRequest, view_id: str) -> HttpResponse:
    """Another name, another address, shared or not: what is sent."""
    request = cast(TenantRequest, request)
    view = view_for(request, view_id)
    wanted: dict[str, Any] = {name: request.POST[name] for name in ("name", "query") if name in request.POST}
    if "shared" in request.POST:
        wanted["shared"] = request.POST["shared"] == "yes"
    if wanted.get("shared") and not may_share(request):
        messages.error(request, NO_SHARING)
        return redirect("spend:explore_views")
    done = _changed(request, view, lambda: change_view(view=view, by=request.actor, **wanted), "The view is changed.")
    return HttpResponseRedirect(address_of(done)) if "query" in wanted and done else redirect("spend:explore_views")


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_POST
def delete(request: HttpRequest, view_id: str) -> HttpResponse:
    """Forget it."""
    request = cast(TenantRequest, request)
    view = view_for(request, view_id)
    _changed(request, view, lambda: delete_view(view=view, by=request.actor), f"The view “{view.name}” is deleted.")
    return redirect("spend:explore_views")


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_POST
def begin(request: HttpRequest, view_id: str) -> HttpResponse:
    """Let the Explore page begin with it, or with the usual again."""
    request = cast(TenantRequest, request)
    view = view_for(request, view_id)
    usual = request.POST.get("begin") == "no"
    begin_with(tenant=request.tenant, user=request.user, view=None if usual else view)
    messages.success(request, "Explore begins as usual again." if usual else f"Explore now begins with “{view.name}”.")
    return redirect("spend:explore_views")


def address_of(view: SavedView) -> str:
    """Where a view is looked at. The address says which one it is."""
    return f"{reverse('spend:explore')}?{view.query}&saved={view.pk}"


def _changed(request: TenantRequest, view: SavedView, do: Callable[[], Any], done: str) -> Any:
    """Do it, if the person may, and say so."""
    if not may_change(request, view):
        messages.error(request, NOT_YOURS)
        return None
    try:
        found = do()
    except RefusedError as error:
        messages.error(request, error.message)
        return None
    messages.success(request, done)
    return found
