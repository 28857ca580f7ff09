"""The calls that the gateway refused, by reason and one by one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from spend.clickhouse.errors import UnavailableError
from spend.forms import DenialsForm
from spend.names import Keys, Names, names_of
from spend.present import reason_label, shown_denial
from spend.queries.denials import denials_by_reason, find_denials
from spend.views.live import NOTHING_NEW, OUT_OF_REACH, page_end, query_with, stamp, today_of
from tenants.gates import keys_seen
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from wire.display import counted

A_PAGE = 50


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    return _answer(cast(TenantRequest, request), "spend/denials.html")


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def rows(request: HttpRequest) -> HttpResponse:
    """What changes. 204 while it is what the page says it has `seen`."""
    return _answer(cast(TenantRequest, request), "spend/_denials.html")


def _answer(request: TenantRequest, template: str) -> HttpResponse:
    keys = keys_seen(request)
    names = names_of(request.tenant.id, seen=keys)
    form = DenialsForm(
        request.GET,
        today=today_of(request.tenant),
        envs=settings.SPENDOPS.environments,
        projects=names.project_choices,
        keys=Keys(request.tenant.id, seen=keys),
    )
    form.is_valid()
    context: dict[str, Any] = {"query": query_with(request), "form": form}
    try:
        context |= _rows(request, form, names, keys)
    except UnavailableError:
        return render(request, template, context | {"unavailable": True}, status=OUT_OF_REACH)
    if template.startswith("spend/_") and request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=NOTHING_NEW)
    return render(request, template, context)


def _rows(request: TenantRequest, form: DenialsForm, names: Names, keys: Collection[str] | None) -> dict[str, Any]:
    before = page_end(request)
    first, last = form.chosen.first, form.chosen.last
    envs = form.envs
    narrowed: dict[str, Any] = {name: form.value_of(name) for name in ("reason", "project", "key")}
    narrowed["keys"] = () if "key" in form.errors else keys  # a key that is not there has no calls
    found = find_denials(request.tenant.id, first, last, envs=envs, **narrowed, before=before, most=A_PAGE + 1)
    reasons = [] if before else denials_by_reason(request.tenant.id, first, last, envs=envs, **narrowed)
    shown = found[:A_PAGE]
    names = names.with_keys(request.tenant.id, (row.key for row in shown), seen=keys)
    here = reverse("spend:denials")
    more = len(found) > A_PAGE
    widest = max((each.requests for each in reasons), default=1)
    return {
        "rows": [shown_denial(row, names) for row in shown],
        "reasons": [
            {
                "label": reason_label(each.reason),
                "count": each.requests,
                "width": f"{each.requests * 100 / widest:.1f}",
                "query": query_with(request, reason=each.reason, before=""),
            }
            for each in reasons
        ],
        "older": bool(before),
        "shown": f"{counted(len(shown), 'refused call')} shown",
        "next_url": f"{here}?{query_with(request, before=str(shown[-1].event_id))}" if more else "",
        "first_url": f"{here}?{query_with(request, before='')}" if before else "",
        "seen": stamp([row.event_id for row in found], reasons, form.chosen),
    }
