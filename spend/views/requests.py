"""The list of requests, and everything about one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from pricing.explain import ExplainedLine
from spend.clickhouse.errors import UnavailableError
from spend.explaining import explained
from spend.exploring.more_filters import MoreFilters
from spend.exploring.words import Words
from spend.forms import RequestsForm
from spend.names import Keys, Names, names_of
from spend.present import facts_of, shown_request
from spend.queries.freshness import freshness
from spend.queries.requests import RequestRow, find_requests, models_used, request_by_id
from spend.views.live import NOTHING_NEW, OUT_OF_REACH, page_end, query_with, stamp, today_of
from spend.waiting import calls_on_their_way
from tenants.gates import keys_seen
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from wire.display import counted
from wire.units import UNITS

A_PAGE = 50


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    return _answer(cast(TenantRequest, request), "spend/requests.html")


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def rows(request: HttpRequest) -> HttpResponse:
    """The newest requests alone. 204 while they are what the page says it has `seen`."""
    return _answer(cast(TenantRequest, request), "spend/_requests.html")


def _answer(request: TenantRequest, template: str) -> HttpResponse:
    keys = keys_seen(request)
    names = names_of(request.tenant.id, seen=keys)
    more = MoreFilters.of(request, Words(request.tenant.id, seen=keys))
    context: dict[str, Any] = {"query": query_with(request), "more": more}
    try:
        form = _form(request, names, keys, models_used(request.tenant.id, keys=keys), more)
        context |= {"form": form} | _rows(request, form, names, keys, more)
    except UnavailableError:
        form = _form(request, names, keys, [], more)
        return render(request, template, context | {"form": form, "unavailable": True}, status=OUT_OF_REACH)
    if template.startswith("spend/_") and request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=NOTHING_NEW)
    return render(request, template, context)


def _form(
    request: TenantRequest, names: Names, keys: Collection[str] | None, models: list[str], more: MoreFilters
) -> RequestsForm:
    asked = request.GET.get("model", "")
    form = RequestsForm(
        {name: value for name, value in request.GET.items() if name not in more.only},
        today=today_of(request.tenant, more.zone),
        envs=settings.SPENDOPS.environments,
        models=[*models, *([asked] if asked and asked not in models else [])],
        projects=names.project_choices,
        keys=Keys(request.tenant.id, seen=keys),
    )
    form.is_valid()
    return form


def _rows(
    request: TenantRequest, form: RequestsForm, names: Names, keys: Collection[str] | None, more: MoreFilters
) -> dict[str, Any]:
    before = page_end(request)
    found = find_requests(
        request.tenant.id,
        form.chosen.first,
        form.chosen.last,
        envs=form.envs,
        model=form.value_of("model"),
        project=form.value_of("project"),
        key=form.value_of("key"),
        status=form.value_of("status"),
        search=form.value_of("search"),
        keys=() if "key" in form.errors or more.problem else keys,  # a key that is not there has no calls
        zone=more.zone,
        only=more.only,
        without=more.without,
        before=before,
        most=A_PAGE + 1,
    )
    shown = found[:A_PAGE]
    names = names.with_keys(request.tenant.id, (row.key for row in shown), seen=keys)
    here = reverse("spend:requests")
    another = len(found) > A_PAGE
    return {
        "rows": [shown_request(row, names) for row in shown],
        "older": bool(before),
        "shown": f"{counted(len(shown), 'request')} shown",
        "next_url": f"{here}?{query_with(request, before=str(shown[-1].event_id))}" if another else "",
        "first_url": f"{here}?{query_with(request, before='')}" if before else "",
        "seen": stamp([(row.event_id, row.rev) for row in found], form.chosen),
    } | ({} if shown else _why_empty(request, form, keys))


def _why_empty(request: TenantRequest, form: RequestsForm, keys: Collection[str] | None) -> dict[str, Any]:
    return {"data_to": freshness(request.tenant.id, keys=keys).data_to, "waiting": calls_on_their_way(form.envs)}


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def one(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Everything about one call, and how its cost came about."""
    request = cast(TenantRequest, request)
    keys = keys_seen(request)
    try:
        row = request_by_id(request.tenant.id, str(event_id), keys=keys)
    except UnavailableError:
        return render(request, "spend/request_unavailable.html", status=OUT_OF_REACH)
    if row is None:
        raise Http404("There is nothing at this address.")
    names = names_of(request.tenant.id, seen=keys).with_keys(request.tenant.id, [row.key], seen=keys)
    context = {"row": shown_request(row, names), "facts": facts_of(row, names, request.tenant.time_zone)}
    return render(request, "spend/request.html", context | _explained(request, row))


def _explained(request: TenantRequest, row: RequestRow) -> dict[str, Any]:
    found = explained(request.tenant.id, row)
    by_rule = found.charge is not None and found.charge.override is not None
    return {
        "not_explained": found.why_not,
        "explanation": found.cost,
        "lines": _named(found.cost.lines) if found.cost else (),
        "differs": row.cost is not None and not found.cost_agrees,
        "charge": found.charge if by_rule else None,
        "charge_lines": _named(found.charge.lines) if found.charge and by_rule else (),
        "charge_differs": row.charge is not None and not found.charge_agrees,
        "charge_unknown": row.charge is None and row.cost is not None,
        "charge_not_explained": found.why_no_charge if row.charge not in (row.cost, None) else "",
        "own_charge": by_rule or row.charge != row.cost,
    }


def _named(lines: Iterable[ExplainedLine]) -> list[tuple[ExplainedLine, str]]:
    return [(line, UNITS[line.priced_as].label) for line in lines]
