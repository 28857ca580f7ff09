"""A month of calls with one model beside another. The address is the view."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from pricing import figures
from pricing.charts import Bar, cost_chart
from pricing.compare import MODELS_MOST, PRESETS, Compared, compare
from pricing.forms.compare import MixForm, address_of, chosen_models
from pricing.listing import Wanted, list_models
from pricing.queries import current_prices
from tenants.permissions import Permission, needs
from wire.cost import Line
from wire.display import percent

Chosen = Sequence[tuple[str, str]]


@needs(Permission.PRICES_VIEW)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Two to six models at a mix of use: a table and bars, the cheapest marked."""
    form = MixForm(request.GET)
    chosen, left_out = chosen_models(request.GET)
    prices = current_prices(chosen)
    missing = [f"{provider}/{model}" for provider, model in chosen if (provider, model) not in prices]
    listed = [(provider, model, prices[provider, model]) for provider, model in chosen if (provider, model) in prices]
    compared = [] if form.errors else compare(listed, form.mix, datetime.now(UTC))
    there = [(provider, model) for provider, model, _ in listed]
    bars = [Bar(each.name, each.per_month, each.cheapest) for each in compared if each.per_month is not None]
    context = {
        "form": form,
        "address": address_of(there, form.mix),
        "chosen": [{"name": f"{p}/{m}", "without": address_of(_but(there, (p, m)), form.mix)} for p, m in there],
        "missing": missing,
        "left_out": left_out,
        "most": MODELS_MOST,
        "rows": [
            {"compared": each, "beside": _beside(each), "lines": [_line(line) for line in each.lines]}
            for each in compared
        ],
        "chart": cost_chart(bars) if len(bars) > 1 else None,
        "chart_rows": len(bars),
        "presets": [
            {"name": name, "url": address_of(there, mix), "current": mix == form.mix and not form.errors}
            for name, mix in PRESETS.items()
        ],
        "names": [each.key for each in list_models(Wanted()) if each.figure("input") is not None],
        "cheapest": _cheapest(compared),
    }
    return render(request, "pricing/compare.html", context)


def _but(models: Chosen, one: tuple[str, str]) -> Chosen:
    return [each for each in models if each != one]


def _line(line: Line) -> dict[str, Any]:
    row = figures.row(line.unit, line.price)
    return {
        "count": line.count,
        "label": row.label,
        "price": row.amounts[0].quoted,
        "above": line.tier_above,
    }


def _beside(each: Compared) -> str:
    """How much more it costs than the cheapest: "+12.5%", and from twice as much on "5.8 times"."""
    if each.more is None:
        return ""
    return f"+{percent(each.more)}" if each.more < 1 else f"{(each.more + 1).quantize(Decimal('0.1')):,} times"


def _cheapest(compared: Sequence[Compared]) -> Compared | None:
    found = [each for each in compared if each.cheapest]
    return found[0] if len(compared) > 1 and found else None
