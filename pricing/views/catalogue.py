"""The pages of prices: the catalogue, one model, and what a sync could not take over exactly."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pricing import figures
from pricing.forms.catalogue import CatalogueForm
from pricing.models import ModelPrice
from pricing.queries import current_book, find_models, model_by_name, price_history, rules_in
from pricing.sources.base import Report
from tenants.permissions import Permission, needs
from wire.units import UNITS

PER_PAGE = 50
_COLUMNS = ("input", "output", "cache_read", "cache_write")


@needs(Permission.PRICES_VIEW)
@require_safe
def catalogue(request: HttpRequest) -> HttpResponse:
    """All models with the prices that hold now, narrowed by the address."""
    form = CatalogueForm(request.GET)
    form.is_valid()
    chosen = form.cleaned_data
    search, provider, deprecated = (
        chosen.get("q", ""),
        chosen.get("provider", ""),
        bool(chosen.get("deprecated")),
    )
    found = find_models(search=search, provider=provider, deprecated=deprecated)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    now = datetime.now(UTC)
    kept = {
        name: value
        for name, value in (("q", search), ("provider", provider), ("deprecated", "on" if deprecated else ""))
        if value
    }
    context = {
        "form": form,
        "book": current_book(),
        "narrowed": bool(kept),
        "rows": [_catalogue_row(price, now) for price in page],
        "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
        "next_url": f"?{urlencode(kept | {'page': page.next_page_number()})}" if page.has_next() else "",
        "first_url": f"?{urlencode(kept)}" if page.has_previous() else "",
    }
    return render(request, "pricing/catalogue.html", context)


@needs(Permission.PRICES_VIEW)
@require_safe
def report(request: HttpRequest) -> HttpResponse:
    """What of the source was rounded, and what a price book cannot say."""
    book = current_book()
    found = msgspec.convert(book.report, Report) if book else Report()
    context = {"book": book, "rounded": found.rounded, "unexpressed": found.unexpressed}
    return render(request, "pricing/report.html", context)


@needs(Permission.PRICES_VIEW)
@require_safe
def model(request: HttpRequest, provider: str, model: str) -> HttpResponse:
    """One model: all its prices, how it is found, and what its prices were."""
    found = model_by_name(provider, model)
    if found is None:
        raise Http404("There is no such model in the catalogue.")
    history = list(price_history(found))
    current = history[0] if history and history[0].last_version_id is None else None
    prices = current.decoded() if current else None
    context = {
        "model": found,
        "price": current,
        "periods": figures.periods(prices) if prices else (),
        "variants": figures.variants(prices) if prices else (),
        "rules": _rules_of(provider, model) if current else (),
        "history": [{"row": row, "text": figures.in_short(row.decoded())} for row in history],
    }
    return render(request, "pricing/model.html", context)


def _catalogue_row(price: ModelPrice, now: datetime) -> dict[str, Any]:
    holds = price.decoded().at(now)
    others = {unit: amount for unit, amount in holds.items() if unit not in _COLUMNS}
    return {
        "model": price.model,
        "columns": [
            {"name": UNITS[unit].label, "row": figures.row(unit, holds[unit]) if unit in holds else None}
            for unit in _COLUMNS
        ],
        "others": figures.rows(others),
        "only_others": len(others) == len(holds),
        "unpriced": not holds,
    }


def _rules_of(provider: str, model_id: str) -> list[dict[str, Any]]:
    """The rules that lead to a model, with their places among its provider's."""
    book = current_book()
    row = rules_in(provider, book.version) if book else None
    if row is None:
        return []
    rules = row.decoded().rules
    return [
        {"place": place, "of": len(rules), "text": figures.clause_text(clause)}
        for place, (clause, model) in enumerate(rules, start=1)
        if model == model_id
    ]
