"""The list of requests, and everything about one of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from pricing.explain import Explanation, NotExplainedError, explain
from spend.clickhouse.errors import UnavailableError
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
from wire.ids import event_id_ms
from wire.money import decimal_from_pico
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
    context: dict[str, Any] = {"query": query_with(request)}
    try:
        form = _form(request, names, keys, models_used(request.tenant.id, keys=keys))
        context |= {"form": form} | _rows(request, form, names, keys)
    except UnavailableError:
        form = _form(request, names, keys, [])
        return render(request, template, context | {"form": form, "unavailable": True}, status=OUT_OF_REACH)
    if template.startswith("spend/_") and request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=NOTHING_NEW)
    return render(request, template, context)


def _form(request: TenantRequest, names: Names, keys: Collection[str] | None, models: list[str]) -> RequestsForm:
    form = RequestsForm(
        request.GET,
        today=today_of(request.tenant),
        envs=settings.SPENDOPS.environments,
        models=models,
        projects=names.project_choices,
        keys=Keys(request.tenant.id, seen=keys),
    )
    form.is_valid()
    return form


def _rows(request: TenantRequest, form: RequestsForm, names: Names, keys: Collection[str] | None) -> dict[str, Any]:
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
        keys=() if "key" in form.errors else keys,  # a key that is not there has no calls
        before=before,
        most=A_PAGE + 1,
    )
    shown = found[:A_PAGE]
    names = names.with_keys(request.tenant.id, (row.key for row in shown), seen=keys)
    here = reverse("spend:requests")
    more = len(found) > A_PAGE
    return {
        "rows": [shown_request(row, names) for row in shown],
        "older": bool(before),
        "shown": f"{counted(len(shown), 'request')} shown",
        "next_url": f"{here}?{query_with(request, before=str(shown[-1].event_id))}" if more else "",
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
    return render(request, "spend/request.html", context | _explained(row))


def _explained(row: RequestRow) -> dict[str, Any]:
    if not row.units:
        return {"not_explained": "This call used nothing that is counted, so there is nothing to price."}
    try:
        explanation = _explanation(row)
    except NotExplainedError as error:
        return {"not_explained": str(error)}
    total = None if explanation.total is None else decimal_from_pico(explanation.total)
    return {
        "explanation": explanation,
        "lines": [(line, UNITS[line.priced_as].label) for line in explanation.lines],
        "differs": row.cost is not None and row.cost != total,
        "override": row.override_version and row.charge != row.cost,
    }


def _explanation(row: RequestRow) -> Explanation:
    return explain(
        provider=row.provider,
        model_priced=row.model_priced,
        price_version=row.price_version,
        ts_ms=event_id_ms(str(row.event_id)),
        units=row.units,
        service_tier=row.service_tier,
    )
