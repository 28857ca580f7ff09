"""Anomalies: the list, one with its days and keys, and what a person says of it."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from access.models import User
from spend.anomalies.actions import NOTE_MOST, settle_anomaly
from spend.anomalies.chart import series_chart
from spend.anomalies.forms import AnomaliesForm
from spend.anomalies.queries import Told, anomalies, anomaly_by_id, keys_on, series_of, told
from spend.clickhouse.errors import UnavailableError
from spend.models import Anomaly
from spend.names import Names, names_of
from spend.queries.freshness import freshness
from spend.views.live import OUT_OF_REACH, query_with
from tenants.errors import RefusedError
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs

PER_PAGE = 25
STATUS = {  # kind of badge, word
    Anomaly.Status.OPEN: ("warn", "Open"),
    Anomaly.Status.DISMISSED: ("", "Dismissed"),
    Anomaly.Status.EXPECTED: ("ok", "Was expected"),
    Anomaly.Status.CONFIRMED: ("bad", "Was a problem"),
    Anomaly.Status.GONE: ("", "Priced anew"),
}


@needs(Permission.SPEND_VIEW)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The tenant's anomalies, the newest first."""
    request = cast(TenantRequest, request)
    names = names_of(request.tenant.id)
    form = AnomaliesForm(request.GET, projects=names.project_choices)
    found = anomalies(status=form.wanted, project=form.value_of("project"), search=form.value_of("search"))
    shown = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    rows = list(shown)
    names = names.with_keys(request.tenant.id, (row.key_id for row in rows), seen=None)
    context: dict[str, Any] = {
        "form": form,
        "rows": [_shown(told(row, names)) for row in rows],
        "any": bool(rows) or Anomaly.objects.exists(),
        "shown": f"{shown.start_index():,} to {shown.end_index():,} of {shown.paginator.count:,}",
        "next_url": f"?{query_with(request, page=str(shown.next_page_number()))}" if shown.has_next() else "",
        "first_url": f"?{query_with(request, page='')}" if shown.has_previous() else "",
    }
    return render(request, "spend/anomalies.html", context | _freshness(request))


@needs(Permission.SPEND_VIEW)
@require_safe
def one(request: HttpRequest, anomaly_id: str) -> HttpResponse:
    """What happened: the days around it, the keys of the day, and what was said of it."""
    request = cast(TenantRequest, request)
    row = _row(anomaly_id)
    names = names_of(request.tenant.id).with_keys(request.tenant.id, [row.key_id], seen=None)
    person = User.objects.filter(pk=row.settled_by).values_list("name", flat=True).first() if row.settled_by else ""
    context = _shown(told(row, names)) | {
        "note_most": NOTE_MOST,
        "settled_by": person or row.settled_by,
        "requests_url": _requests_url(row),
        "back": _back(request),
    }
    try:
        days, keys = series_of(row), keys_on(row)
    except UnavailableError:
        return render(request, "spend/anomaly.html", context | {"unavailable": True}, status=OUT_OF_REACH)
    names = names_of(request.tenant.id).with_keys(request.tenant.id, (each.key for each in keys), seen=None)
    context |= {
        "chart": series_chart(days, row.day),
        "days": list(reversed(days)),
        "keys": [_key(row, each, names) for each in keys],
    }
    return render(request, "spend/anomaly.html", context | _freshness(request))


@needs(Permission.ANOMALIES_SETTLE)
@require_POST
def settle(request: HttpRequest, anomaly_id: str) -> HttpResponse:
    """Keep what a person says of it, and go back to where they said it."""
    request = cast(TenantRequest, request)
    row = _row(anomaly_id)
    try:
        settle_anomaly(
            anomaly=row,
            verdict=request.POST.get("verdict", ""),
            note=request.POST.get("note", row.note),
            by=request.actor,
        )
    except RefusedError as error:
        messages.error(request, error.message)
    return redirect(_back(request) or reverse("spend:anomaly", args=[row.pk]))


def _back(request: HttpRequest) -> str:
    """Where the person came from, within this site."""
    back = request.POST.get("back", "")
    return back if back.startswith("/") and url_has_allowed_host_and_scheme(back, None) else ""


def _row(anomaly_id: str) -> Anomaly:
    row = anomaly_by_id(anomaly_id)
    if row is None:
        raise Http404("There is nothing at this address.")
    return row


def _shown(found: Told) -> dict[str, Any]:
    kind, word = STATUS[Anomaly.Status(found.row.status)]
    settled = found.row.status not in (Anomaly.Status.OPEN, Anomaly.Status.GONE)
    return {"told": found, "row": found.row, "kind": kind, "word": word, "settled": settled}


def _key(row: Anomaly, each: Any, names: Names) -> dict[str, Any]:
    return {
        "name": names.keys.get(each.key) or each.key or "No key",
        "charge": each.charge,
        "expected": each.expected,
        "above": each.charge - each.expected,
        "requests": each.requests,
        "url": f"{_requests_url(row)}&key={each.key}" if each.key else _requests_url(row),
    }


def _requests_url(row: Anomaly) -> str:
    query = f"period=custom&first={row.day}&last={row.day}&project={row.project_id}"
    return f"{reverse('spend:requests')}?{query}"


def _freshness(request: TenantRequest) -> dict[str, Any]:
    try:
        return {"fresh": freshness(request.tenant.id), "period": True}
    except UnavailableError:
        return {"unavailable": True}
