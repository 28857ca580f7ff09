"""Syncs: what sources proposed, what became of it, and the decision about what waits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from access.step_up import step_up_required
from pricing import figures
from pricing.actions.changes import approve_sync, reject_sync
from pricing.diff import figures_of, rules_of
from pricing.forms.syncs import ChangesForm, DecisionForm
from pricing.history import WHOLE
from pricing.models import PriceChange, PriceSync
from pricing.people import named
from pricing.queries import changes_by_move, sync_alarm, sync_by_id, syncs
from tenants.errors import RefusedError
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs

PER_PAGE, CHANGES_PER_PAGE = 50, 50
STATUS_KINDS = {
    PriceSync.Status.PUBLISHED: "ok",
    PriceSync.Status.APPROVED: "ok",
    PriceSync.Status.WAITING: "warn",
    PriceSync.Status.FAILED: "bad",
    PriceSync.Status.REJECTED: "",
}
_LABELS = {
    PriceChange.Kind.NEW: "New",
    PriceChange.Kind.CHANGED: "Changed",
    PriceChange.Kind.GONE: "Gone",
    PriceChange.Kind.CONFLICT: "Priced by hand",
    PriceChange.Kind.RULES: "Rules",
}
_CHANGE_KINDS = {PriceChange.Status.PUBLISHED: "ok", PriceChange.Status.WAITING: "warn"}


@needs(Permission.PRICES_VIEW)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All syncs, the newest first."""
    page = Paginator(syncs(), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "alarm": sync_alarm(),
        "rows": [_sync_row(each) for each in page],
        "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
        "next_url": f"?{urlencode({'page': page.next_page_number()})}" if page.has_next() else "",
        "first_url": "?page=1" if page.has_previous() else "",
    }
    return render(request, "pricing/syncs.html", context)


@needs(Permission.PRICES_VIEW)
@require_safe
def one(request: HttpRequest, sync_id: int) -> HttpResponse:
    """One sync with what it changes or proposes, the largest move first."""
    request = cast(TenantRequest, request)
    return _page(request, _sync(sync_id), DecisionForm())


@needs(Permission.PRICES_CHANGE)
@require_POST
@step_up_required(bound=True)
def approve(request: HttpRequest, sync_id: int) -> HttpResponse:
    """Publish what waits: exactly the changes of the digest that the person saw and confirmed."""
    request = cast(TenantRequest, request)
    sync, form = _sync(sync_id), DecisionForm(request.POST)
    if not form.is_valid():
        return _page(request, sync, form, status=422)
    try:
        book = approve_sync(sync=sync, digest=form.cleaned_data["digest"], by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"Published as price book {book.version}. Gateways price by it within seconds.")
    return redirect("pricing:sync", sync.pk)


@needs(Permission.PRICES_CHANGE)
@require_POST
@step_up_required(bound=True)
def reject(request: HttpRequest, sync_id: int) -> HttpResponse:
    """Leave prices as they are; exactly these changes are not proposed again."""
    request = cast(TenantRequest, request)
    sync, form = _sync(sync_id), DecisionForm(request.POST)
    if not form.is_valid():
        return _page(request, sync, form, status=422)
    given = form.cleaned_data
    try:
        reject_sync(sync=sync, digest=given["digest"], reason=given["reason"], by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "Rejected: prices stay as they are, and these changes are not proposed again.")
    return redirect("pricing:sync", sync.pk)


def _page(request: TenantRequest, sync: PriceSync, form: DecisionForm, *, status: int = 200) -> HttpResponse:
    narrowed = ChangesForm(request.GET)
    chosen = narrowed.chosen
    rows = changes_by_move(sync, text=chosen.get("q", ""), kind=chosen.get("kind", ""), status=chosen.get("status", ""))
    page = Paginator(rows, CHANGES_PER_PAGE).get_page(request.GET.get("page"))
    counts = dict(sync.changes.values_list("status").annotate(Count("pk")).values_list("status", "pk__count"))
    waiting = sync.status == PriceSync.Status.WAITING
    context: dict[str, Any] = {
        "sync": sync,
        "row": _sync_row(sync),
        "alarm": None,
        "narrowed": narrowed,
        "form": form,
        "waiting": counts.get(PriceChange.Status.WAITING, 0) if waiting else 0,
        "published": counts.get(PriceChange.Status.PUBLISHED, 0),
        "total": sum(counts.values()),
        "decided_by": named({sync.decided_by}, request).get(sync.decided_by, "") if sync.decided_by else "",
        "changes": [_change_row(each) for each in page],
        "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
        "next_url": f"?{urlencode(chosen | {'page': page.next_page_number()})}" if page.has_next() else "",
        "first_url": f"?{urlencode(chosen)}" if page.has_previous() else "",
    }
    return render(request, "pricing/sync.html", context, status=status)


def _direction(basis_points: int | None) -> str:
    """How a move is coloured: a price that is lost altogether is neither dearer nor cheaper."""
    if basis_points is None or basis_points > 0:
        return "up"
    return "" if basis_points in (0, -WHOLE) else "down"


def _sync(pk: int) -> PriceSync:
    row = sync_by_id(pk)
    if row is None:
        raise Http404("There is no such sync.")
    return row


def _sync_row(sync: PriceSync) -> dict[str, Any]:
    status = PriceSync.Status(sync.status)
    return {"sync": sync, "kind": STATUS_KINDS.get(status, ""), "label": status.label}


def _change_row(row: PriceChange) -> dict[str, Any]:
    """A change with its figures from the day on which it holds, or would hold if it were approved now."""
    day = row.effective_from or datetime.now(UTC).date()
    kind, status = PriceChange.Kind(row.kind), PriceChange.Status(row.status)
    is_rules = kind == PriceChange.Kind.RULES
    shown = [] if is_rules else figures_of(row, day)
    return {
        "change": row,
        "label": _LABELS[kind],
        "status_kind": _CHANGE_KINDS.get(status, ""),
        "status_label": status.value.capitalize(),
        "figures": shown,
        "rules": rules_of(row) if is_rules else [],
        "moved": figures.moved(row.basis_points) if kind == PriceChange.Kind.CHANGED else "",
        "direction": _direction(row.basis_points),
    }
