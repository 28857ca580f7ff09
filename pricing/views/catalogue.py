"""The catalogue: all models with the prices that hold now, and what a sync could not take over exactly."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlencode

import msgspec
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pricing import figures
from pricing.forms.catalogue import CAPABILITY_WORDS, TIER_WORDS, CatalogueForm
from pricing.listing import Listed, list_models, override_test
from pricing.queries import current_book, sync_alarm
from pricing.queries_overrides import newest_books, rules_in
from pricing.sources.base import Report
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from wire.overrides import OverrideRule

PER_PAGE = 50
_COLUMNS = ("input", "output", "cache_read")
_SORTED = {"Context": "context", "Input": "input", "Output": "output"}


@needs(Permission.PRICES_VIEW)
@require_safe
def catalogue(request: HttpRequest) -> HttpResponse:
    """All models with the prices that hold now, narrowed and sorted by the address."""
    request = cast(TenantRequest, request)
    may_see_overrides = Permission.OVERRIDES_VIEW in request.permissions
    form = CatalogueForm(request.GET, overrides=may_see_overrides)
    rules = _rules_of(request.tenant.id) if may_see_overrides else ()
    now = datetime.now(UTC)
    found = list_models(form.wanted, rules=rules, now=now)
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    overridden = override_test(rules, now)
    context = {
        "form": form,
        "book": current_book(),
        "alarm": sync_alarm(),
        "rows": [_row(each) | {"overridden": overridden(each.provider, each.model)} for each in page],
        "heads": _heads(form.chosen),
        "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
        "next_url": f"?{urlencode(form.chosen | {'page': page.next_page_number()})}" if page.has_next() else "",
        "first_url": f"?{urlencode(form.chosen)}" if page.has_previous() else "",
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


def _rules_of(tenant_id: str) -> tuple[OverrideRule, ...]:
    book = newest_books([tenant_id]).get(tenant_id)
    return rules_in(book) if book else ()


def _row(listed: Listed) -> dict[str, Any]:
    others = {unit: amount for unit, amount in listed.prices.items() if unit not in _COLUMNS}
    capabilities = [CAPABILITY_WORDS.get(each, each) for each in listed.capabilities]
    return {
        "model": listed,
        "tier": TIER_WORDS.get(listed.tier, ""),
        "capabilities": ", ".join([*capabilities[:1], *(each.lower() for each in capabilities[1:])]),
        "columns": [
            {
                "name": name,
                "row": figures.row(unit, listed.prices[unit]) if unit in listed.prices else None,
            }
            for name, unit in zip(("Input", "Output", "Cached input"), _COLUMNS, strict=True)
        ],
        "others": figures.rows(others),
        "only_others": bool(others) and len(others) == len(listed.prices),
        "unpriced": not listed.prices and not listed.gone,
    }


def _heads(chosen: Mapping[str, str]) -> list[dict[str, str]]:
    """The heads of the columns by which the list can be sorted: once more, and it is the other way round."""
    heads = []
    now = chosen.get("sort", "")
    for label, name in _SORTED.items():
        wanted = f"-{name}" if now == name or name == "context" else name
        if now == wanted:
            wanted = ""
        direction = "ascending" if now == name else "descending" if now == f"-{name}" else ""
        kept = {key: value for key, value in chosen.items() if key != "sort"} | ({"sort": wanted} if wanted else {})
        heads.append({"label": label, "url": f"?{urlencode(kept)}", "direction": direction})
    return heads
