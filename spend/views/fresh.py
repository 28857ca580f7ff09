"""How fresh spend is and what of it has no price: a line that every page about spend fetches for its head."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from spend.clickhouse.errors import UnavailableError
from spend.queries.freshness import freshness
from tenants.gates import keys_seen
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def fragment(request: HttpRequest) -> HttpResponse:
    """The line; it says so when ClickHouse is away, and the page stands without it."""
    known = cast(TenantRequest, request)
    try:
        found = freshness(known.tenant.id, keys=keys_seen(known))
    except UnavailableError:
        return render(request, "spend/_freshness.html", {"unavailable": True})
    return render(request, "spend/_freshness.html", {"fresh": found})
