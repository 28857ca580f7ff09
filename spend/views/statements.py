"""Statements: all months, one month, its files, and sealing it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from access.step_up import step_up_required
from spend.clickhouse.errors import UnavailableError
from spend.closing.actions import seal_month
from spend.closing.drafts import Totals, draft
from spend.closing.months import Month, months_of, refuse_unsealable
from spend.closing.queries import TYPES, Running, file_of, month_of, running_totals, statement_of
from spend.closing.shown import shown
from spend.closing.statement import Document, read
from spend.models import MonthSeal
from spend.queries.freshness import freshness
from spend.views.live import NOTHING_NEW, OUT_OF_REACH, today_of
from tenants.errors import RefusedError
from tenants.http import TenantRequest
from tenants.models import Tenant
from tenants.permissions import Permission, needs
from wire.display import month as month_name


@needs(Permission.SPEND_VIEW)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """All months, the newest first: sealed ones with their checksum, the others with what they come to so far."""
    tenant = cast(TenantRequest, request).tenant
    try:
        months = months_of(tenant, today=today_of(tenant))
        running = running_totals(tenant, months)
        context = {"rows": [_row(each, running) for each in months], "fresh": freshness(tenant.id)}
    except UnavailableError:
        return render(request, "spend/statements.html", {"unavailable": True}, status=OUT_OF_REACH)
    return render(request, "spend/statements.html", context)


@needs(Permission.SPEND_VIEW)
@require_safe
def one(request: HttpRequest, month: str) -> HttpResponse:
    """A month's statement: the stored one, or the draft of one that is not sealed.

    With `seen` only what changes while it is being sealed, 204 when nothing did.
    """
    tenant = cast(TenantRequest, request).tenant
    try:
        found = _month_for(tenant, month)
        seen = f"{found.seal.state} {found.seal.waits_for}" if found.seal else "open"
        if request.GET.get("seen") == seen:
            return HttpResponse(status=NOTHING_NEW)
        context = _context(tenant, found) | {"seen": seen, "fresh": freshness(tenant.id)}
    except UnavailableError:
        context = {"unavailable": True, "month": month}
        return render(request, "spend/statement.html", context, status=OUT_OF_REACH)
    return render(request, "spend/_statement.html" if "seen" in request.GET else "spend/statement.html", context)


@needs(Permission.SPEND_EXPORT)
@require_safe
def file(request: HttpRequest, month: str, kind: str) -> HttpResponse:
    """A statement as a file: the stored bytes, or those of a draft, which says so."""
    tenant = cast(TenantRequest, request).tenant
    if kind not in TYPES:
        raise Http404("There is nothing at this address.")
    try:
        found = _month_for(tenant, month)
        body = file_of(tenant, found, kind)
    except UnavailableError:
        return render(request, "spend/statement.html", {"unavailable": True, "month": month}, status=OUT_OF_REACH)
    name = f"statement-{month}{'' if statement_of(found) else '-draft'}.{kind}"
    return HttpResponse(
        body, content_type=TYPES[kind], headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@needs(Permission.MONTHS_CLOSE)
@require_POST
@step_up_required(bound=True)
def seal(request: HttpRequest, month: str) -> HttpResponse:
    """Begin to seal a month by the figures that were confirmed."""
    request = cast(TenantRequest, request)
    try:
        found = _month_for(request.tenant, month)
        seal_month(
            tenant=request.tenant, month=found.first, confirmed=request.POST.get("confirmed", ""), by=request.actor
        )
    except RefusedError as error:
        messages.error(request, error.message)
    except UnavailableError as error:
        messages.error(request, f"{error} Nothing was sealed.")
    return redirect("spend:statement", month)


def _month_for(tenant: Tenant, text: str) -> Month:
    found = month_of(tenant, text, today=today_of(tenant))
    if found is None:
        raise Http404("There is nothing at this address.")
    return found


def _row(month: Month, running: dict[date, Running]) -> dict[str, Any]:
    stored, now = statement_of(month), running.get(month.first, Running(Decimal(), 0, 0))
    row: dict[str, Any] = {
        "month": month,
        "name": month_name(month.first),
        "address": f"{month.first:%Y-%m}",
        "stored": stored,
        "sealing": month.seal is not None and stored is None,
        "charge": now.charge,
        "requests": now.requests,
        "unpriced": now.unpriced,
    }
    if stored:
        document = read(stored.body)
        total = document["totals"]["total"]
        row |= {
            "charge": Decimal(total["charge_usd"]),
            "requests": total["requests"],
            "unpriced": total["unpriced_requests"],
            "converted": shown(document)["total"]["converted"],
        }
    return row


def _context(tenant: Tenant, month: Month) -> dict[str, Any]:
    stored = statement_of(month)
    document: Document = read(stored.body) if stored else draft(tenant, month.first)
    context = shown(document) | {"month": f"{month.first:%Y-%m}", "stored": stored, "seal": month.seal}
    if month.seal is None:
        try:
            refuse_unsealable(tenant, month.first)
            context["why_not"] = ""
        except RefusedError as error:
            context["why_not"] = error.message
        context["confirmed"] = str(Totals.of(document))
    context["sealing"] = month.seal is not None and month.seal.state == MonthSeal.State.SEALING
    return context
