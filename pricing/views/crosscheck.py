"""The cross-check: our prices beside another public table, a file that a person brings."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from pricing import figures
from pricing.actions.crosscheck import cross_check, result_of
from pricing.crosscheck import CrossCheckError, Disagreement
from pricing.forms.crosscheck import CrossCheckForm, DisagreementsForm
from pricing.queries import current_version, last_cross_check
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from wire.display import counted
from wire.units import UNITS

PER_PAGE = 50


@needs(Permission.PRICES_VIEW, to_write=Permission.PRICES_CHANGE)
@require_http_methods(["GET", "POST"])
@never_cache
def page(request: HttpRequest) -> HttpResponse:
    """The last comparison; a file makes the next. No price is changed by it."""
    request = cast(TenantRequest, request)
    posted = request.method == "POST"
    form = CrossCheckForm(request.POST, request.FILES) if posted else CrossCheckForm()
    if posted and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            _, result = cross_check(content=file.read(), table=file.name, by=request.actor)
        except CrossCheckError as error:
            form.add_error("file", str(error))
        else:
            told = f"{counted(result.compared, 'figure')} compared, {result.disagreeing:,} differ."
            messages.success(request, told)
            return redirect("pricing:cross_check")
    context = _last(request) | {"form": form, "version": current_version()}
    return render(request, "pricing/cross_check.html", context, status=422 if form.errors else 200)


def _last(request: HttpRequest) -> dict[str, Any]:
    row = last_cross_check()
    if row is None:
        return {"last": None}
    narrowed = DisagreementsForm(request.GET)
    result = result_of(row)
    chosen = narrowed.chosen
    words = chosen.get("q", "").lower().split()
    found = [each for each in result.disagreements if all(word in _text(each) for word in words)]
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    return {
        "last": row,
        "result": result,
        "narrowed": narrowed,
        "rows": [_row(each) for each in page],
        "cut": result.disagreeing - len(result.disagreements),
        "unnamed": result.unmatched - len(result.unmatched_names),
        "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
        "next_url": f"?{urlencode(chosen | {'page': page.next_page_number()})}" if page.has_next() else "",
        "first_url": f"?{urlencode(chosen)}" if page.has_previous() else "",
    }


def _text(each: Disagreement) -> str:
    label = UNITS[each.unit].label if each.unit in UNITS else ""
    return f"{each.provider} {each.model} {each.name} {each.unit} {label} {each.tier}".lower()


def _row(each: Disagreement) -> dict[str, Any]:
    plain = figures.row(each.unit, each.ours)
    return {
        "each": each,
        "label": plain.label,
        "per": plain.per,
        "ours": figures.quoted(each.unit, each.ours),
        "theirs": figures.quoted(each.unit, each.theirs),
        "apart": "they say nothing" if each.basis_points is None else figures.moved(each.basis_points),
    }
