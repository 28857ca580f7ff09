"""The pages of selections: what the tiers of a tenant or a project stand for, and the choice of a model."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from pricing.actions.selections import NONE_YET, clear_selection, select_model
from pricing.figures import quoted
from pricing.forms.selections import ChooseForm, PlaceForm, SearchForm, WhoseForm
from pricing.models import Selection
from pricing.queries import current_book
from pricing.queries_selections import all_selections, effective_selections
from pricing.selection_rules import CALLED, ROUTES, USE_LABELS
from pricing.state.catalog import Entry, Wanted, rendering
from tenants.errors import RefusedError
from tenants.gates import project_for
from tenants.http import TenantRequest
from tenants.models import Project
from tenants.permissions import Permission, needs
from wire.documents import TIERS, USES

LISTED_MOST = 50
_PRICES = ("input", "output")


class Place(NamedTuple):
    """A use and a tier, for a project or for all that have no selection of their own."""

    use: str
    tier: str
    project: Project | None

    @property
    def label(self) -> str:
        return f"{USE_LABELS[self.use]}, {self.tier}"

    @property
    def query(self) -> str:
        found = {"use": self.use, "tier": self.tier, "project": self.project.id if self.project else ""}
        return urlencode({name: value for name, value in found.items() if value})


@needs(Permission.PRICES_VIEW)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """What tiers stand for: for all projects, or for the one that the address names."""
    request = cast(TenantRequest, request)
    project = _project(request, request.GET.get("project", ""))
    projects = list(Project.objects.filter(tenant=request.tenant).exclude(status=Project.Status.ARCHIVED))
    held = {
        (row.use, row.tier): row for row in effective_selections(request.tenant.id, project.id if project else None)
    }
    listed = {(entry.provider, entry.model): entry for entry in rendering().entries}
    everything = list(all_selections(request.tenant.id))
    own: dict[str, dict[str, Any]] = {}
    for row in everything:
        if row.project_id:
            own.setdefault(row.project_id, {"project": row.project, "rows": []})["rows"].append(row)
    context = {
        "form": WhoseForm({"project": project.id if project else ""}, projects=projects),
        "project": project,
        "projects": projects,
        "book": current_book(),
        "tiers": TIERS,
        "rows": [
            {
                "use": USE_LABELS[use],
                "route": ROUTES[use],
                "cells": [_cell(Place(use, tier, project), held.get((use, tier)), listed) for tier in TIERS],
            }
            for use in USES
        ],
        "any": bool(everything),
        "own": list(own.values()),
        "first": Place("chat", "bulk", project).query,
    }
    return render(request, "pricing/selections.html", context)


@needs(Permission.SELECTION_CHANGE)
@require_safe
def choose(request: HttpRequest) -> HttpResponse:
    """The models that can be selected for a use and a tier, those of that tier first."""
    request = cast(TenantRequest, request)
    form = PlaceForm(request.GET)
    if not form.is_valid():
        raise Http404("There is no such use or tier.")
    place = _place(request, form)
    standing = _standing(request, place)
    search = SearchForm(request.GET)
    search.is_valid()
    words = tuple(search.cleaned_data.get("q", "").lower().split())
    found = rendering().matching(Wanted(use=place.use, words=words))
    # else in the catalogue's order
    found.sort(key=lambda entry: (entry.deprecated, entry.provider not in CALLED, entry.tier != place.tier))
    context = {
        "place": place,
        "standing": standing,
        "version": standing.version if standing else NONE_YET,
        "search": search,
        "searched": bool(words),
        "rows": [_offered(entry, standing) for entry in found[:LISTED_MOST]],
        "more": max(0, len(found) - LISTED_MOST),
        "back": _back(place.project),
    }
    return render(request, "pricing/selection_choose.html", context)


@needs(Permission.SELECTION_CHANGE)
@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Select a model."""
    request = cast(TenantRequest, request)
    form = ChooseForm(request.POST)
    if not form.is_valid():
        return _not_understood(request)
    place, given = _place(request, form), form.cleaned_data
    try:
        select_model(
            tenant=request.tenant,
            project=place.project,
            use=place.use,
            tier=place.tier,
            provider=given["provider"],
            model=given["model"],
            version=given["version"],
            by=request.actor,
        )
    except RefusedError as error:
        messages.error(request, error.message)
        return redirect(f"{reverse('pricing:selection_choose')}?{place.query}")
    messages.success(request, f"{place.label}: {given['model']}. Gateways know within a second.")
    return redirect(_back(place.project))


@needs(Permission.SELECTION_CHANGE)
@require_POST
def clear(request: HttpRequest) -> HttpResponse:
    """Take a selection away."""
    request = cast(TenantRequest, request)
    form = PlaceForm(request.POST)
    if not form.is_valid():
        return _not_understood(request)
    place = _place(request, form)
    try:
        clear_selection(
            tenant=request.tenant,
            project=place.project,
            use=place.use,
            tier=place.tier,
            version=form.cleaned_data["version"],
            by=request.actor,
        )
    except RefusedError as error:
        messages.error(request, error.message)
    else:
        instead = "What is selected for all projects holds" if place.project else "Callers who ask for it are refused"
        messages.success(request, f"{place.label}: cleared. {instead} within a second.")
    return redirect(_back(place.project))


def _not_understood(request: HttpRequest) -> HttpResponse:
    messages.error(request, "Choose a use, a tier and a model from the list. Nothing was changed.")
    return redirect("pricing:selections")


def _back(project: Project | None) -> str:
    address = reverse("pricing:selections")
    return f"{address}?{urlencode({'project': project.id})}" if project else address


def _place(request: TenantRequest, form: PlaceForm) -> Place:
    given = form.cleaned_data
    return Place(given["use"], given["tier"], _project(request, given["project"]))


def _project(request: TenantRequest, project_id: str) -> Project | None:
    return project_for(request, project_id) if project_id else None


def _standing(request: TenantRequest, place: Place) -> Selection | None:
    found: Selection | None = Selection.objects.filter(
        tenant=request.tenant, project=place.project, use=place.use, tier=place.tier
    ).first()
    return found


def _cell(place: Place, row: Selection | None, listed: dict[tuple[str, str], Entry]) -> dict[str, Any]:
    entry = listed.get((row.provider, row.model)) if row else None
    return {
        "place": place,
        "row": row,
        "own": row is not None and row.project_id == (place.project.id if place.project else None),
        "gone": row is not None and entry is None,
        "deprecated": entry is not None and entry.deprecated,
    }


def _quoted(usd_per_million: str) -> str:
    """A price as the catalogue's pages write it; "" when there is none."""
    return quoted("input", int(Decimal(usd_per_million).scaleb(6))) if usd_per_million else ""


def _offered(entry: Entry, standing: Selection | None) -> dict[str, Any]:
    shown = entry.decoded()
    return {
        **shown,
        "prices": [
            {"label": unit.capitalize(), "quoted": _quoted(shown["prices"].get(unit, {}).get("usd_per_million", ""))}
            for unit in _PRICES
        ],
        "called": entry.provider in CALLED,
        "chosen": standing is not None and (standing.provider, standing.model) == (entry.provider, entry.model),
    }
