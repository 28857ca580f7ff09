"""Comparisons of stores with SQL: those that were made, and asking for another one."""

from __future__ import annotations

from contextlib import suppress
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError

from publishing.actions.compare import ask_for_comparison
from publishing.queries.looks import asked_for, looks
from publishing.tasks import compare_as_asked
from publishing.views.seen import naming_scope, page_end
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from tenants.views.posting import post_or_page
from wire.display import counted
from wire.kv.stores import Store

A_PAGE = 30


@needs(Permission.PUBLISHING_VIEW)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The comparisons, the newest first. What differed is a platform admin's to see: it may be any tenant's."""
    request = cast(TenantRequest, request)
    before = page_end(request)
    with naming_scope(request):
        found = looks(before=before, most=A_PAGE + 1, with_examples=request.platform_admin)
    shown, waiting = found[:A_PAGE], asked_for()
    context = {
        "looks": shown,
        "stores": [
            {"store": store, "waiting": (store.env, store.id) in waiting}
            for stores in settings.SPENDOPS.stores.values()
            for store in stores
        ],
        "waiting": bool(waiting),
        "older": before is not None,
        "shown": f"{counted(len(shown), 'comparison')} shown",
        "next_url": f"?before={shown[-1].row.pk}" if len(found) > A_PAGE else "",
        "first_url": "?" if before is not None else "",
    }
    return render(request, "publishing/_looks.html" if request.htmx else "publishing/looks.html", context)


@needs(Permission.PUBLISHING_REPAIR)
@post_or_page("publishing:looks")
def compare(request: HttpRequest) -> HttpResponse:
    """Have a store compared with SQL, without repairing anything."""
    request = cast(TenantRequest, request)
    store = _store(request.POST.get("env", ""), request.POST.get("store", ""))
    ask_for_comparison(store=store, by=request.actor)
    with suppress(OperationalError):  # no broker: the row stands, and the timetable's next tick finds it
        compare_as_asked.apply_async(retry=False)
    messages.info(request, f"{store.env} {store.id} is being compared. The result shows here by itself.")
    return redirect("publishing:looks")


def _store(env: str, store_id: str) -> Store:
    for store in settings.SPENDOPS.stores.get(env, ()):
        if store.id == store_id:
            return store
    raise Http404("There is nothing at this address.")
