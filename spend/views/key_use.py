"""What one API key was used for in the last 24 hours, to stand on its page and where it is about to be revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from spend.clickhouse.errors import UnavailableError
from spend.queries.key_use import HourOfUse, key_use
from tenants.gates import keys_seen
from tenants.http import TenantRequest
from tenants.models import ApiKey
from tenants.permissions import Permission, needs

HOURS = 24
_HIGHEST = 44  # of the drawing, which is 24 bars of 10 units wide


class Bar(NamedTuple):
    """One hour as it is drawn, in the drawing's units."""

    hour: datetime
    requests: int
    x: int
    y: int
    height: int


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def fragment(request: HttpRequest, key_id: str) -> HttpResponse:
    """Requests, charge and the last call, with a bar for each hour."""
    request = cast(TenantRequest, request)
    seen = keys_seen(request)
    if not ApiKey.objects.filter(tenant=request.tenant, pk=key_id).exists() or (
        seen is not None and key_id not in seen
    ):
        raise Http404
    now = timezone.now()
    begin = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    try:
        used = key_use(request.tenant.id, key_id, now - timedelta(hours=HOURS), now + timedelta(minutes=1))
    except UnavailableError:
        return render(request, "spend/_key_use.html", {"unavailable": True})
    context = {
        "requests": sum(each.requests for each in used),
        "charge": sum((each.charge for each in used), start=Decimal()),
        "unpriced": sum(each.unpriced for each in used),
        "last_call": max((each.last_call for each in used), default=None),
        "bars": _bars(used, begin),
    }
    return render(request, "spend/_key_use.html", context)


def _bars(used: list[HourOfUse], begin: datetime) -> list[Bar]:
    by_hour = {each.hour.replace(tzinfo=UTC): each.requests for each in used}
    most = max(by_hour.values(), default=0)
    found = []
    for number in range(HOURS):
        hour = begin + timedelta(hours=number)
        requests = by_hour.get(hour, 0)
        height = max(2, round(_HIGHEST * requests / most)) if requests else 1
        found.append(Bar(hour, requests, number * 10, _HIGHEST - height, height))
    return found
