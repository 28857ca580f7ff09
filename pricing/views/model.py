"""One model: its prices now and before, what it is, how it is found; and its facts, set by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from access.step_up import step_up_required
from pricing import figures
from pricing.actions.catalogue import BY_HAND, describe_model
from pricing.charts import Line, line_of, price_chart
from pricing.forms.catalogue import CAPABILITY_WORDS, TIER_WORDS
from pricing.forms.facts import FactsForm
from pricing.history import steps_of
from pricing.models import Model, ModelPrice
from pricing.people import named
from pricing.queries import (
    current_book,
    hand_prices,
    model_by_name,
    price_history,
    rules_in,
    waiting_change,
)
from tenants.errors import ManyRefusedError, RefusedError
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from wire.display import counted, day
from wire.prices import ModelPrices

_DRAWN = ("input", "output", "cache_read")


@needs(Permission.PRICES_VIEW)
@require_safe
def model(request: HttpRequest, provider: str, model: str) -> HttpResponse:
    """One model: all its prices, how it is found, and what its prices were."""
    request = cast(TenantRequest, request)
    found = _model(provider, model)
    today = datetime.now(UTC).date()
    history = list(price_history(found))
    current = history[0] if history and history[0].last_version_id is None else None
    prices = current.decoded() if current else None
    lines = _lines(found, history, today)
    context = {
        "model": found,
        "waiting": waiting_change(found),
        "price": current,
        "periods": figures.periods(prices, today) if prices else (),
        "variants": figures.variants(prices, today) if prices else (),
        "facts": _facts(found, request),
        "rules": _rules_of(provider, model) if current else (),
        "history": [{"row": row, "text": figures.in_short(row.decoded())} for row in history],
        "by_hand": hand_prices(found) if found.by_hand else (),
        "lines": lines,
        "steps": _table_of(lines),
        "chart": price_chart(lines, last=today) if any(len(line.steps) > 1 for line in lines) else None,
    }
    return render(request, "pricing/model.html", context)


@needs(Permission.PRICES_CHANGE)
@require_http_methods(["GET", "POST"])
@never_cache
@step_up_required(bound=True)
def describe(request: HttpRequest, provider: str, model: str) -> HttpResponse:
    """Say what a model is: its tier, its limits, its other names."""
    request = cast(TenantRequest, request)
    found = _model(provider, model)
    form = FactsForm(request.POST if request.method == "POST" else None, model=found)
    if request.method == "POST" and form.is_valid():
        try:
            describe_model(model=found, by=request.actor, facts=form.changed_facts, note=form.cleaned_data["note"])
        except ManyRefusedError as error:
            form.say(error.faults)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"What {found.model_id} is stands in the catalogue now. No sync changes it.")
            return redirect("pricing:model", found.provider_id, found.model_id)
    context = {"model": found, "form": form}
    return render(request, "pricing/describe.html", context, status=422 if form.errors else 200)


def _model(provider: str, name: str) -> Model:
    found = model_by_name(provider, name)
    if found is None:
        raise Http404("There is no such model in the catalogue.")
    return found


def _facts(model: Model, request: TenantRequest) -> list[dict[str, str]]:
    """What is known of a model, each with where it is from."""
    capabilities = [CAPABILITY_WORDS.get(each, each) for each in model.capabilities]
    said = {
        "tier": ("Tier", TIER_WORDS.get(model.tier, "")),
        "context_window": ("Context window", counted(model.context_window, "token") if model.context_window else ""),
        "output_most": ("Longest answer", counted(model.output_most, "token") if model.output_most else ""),
        "capabilities": ("Can do", ", ".join([*capabilities[:1], *(each.lower() for each in capabilities[1:])])),
        "aliases": ("Other names", ", ".join(model.aliases)),
        "deprecated_on": ("Works until", day(model.deprecated_on) if model.deprecated_on else ""),
    }
    always = ("tier", "context_window")
    names = named({str(each["by"]) for each in model.facts.values() if each.get("by")}, request)
    return [
        {"label": label, "value": value or "not said", "origin": _origin(model.facts.get(name, {}), names)}
        for name, (label, value) in said.items()
        if value or name in always
    ]


def _origin(fact: Mapping[str, str], names: Mapping[str, str]) -> str:
    source, by = fact.get("source", ""), fact.get("by", "")
    if source == BY_HAND:
        note = f": {fact['note']}" if fact.get("note") else ""
        return f"said by {names.get(by, by)} on {_seen(fact)}{note}"
    return f"{source}, seen {_seen(fact)}" if source else ""


def _seen(fact: Mapping[str, str]) -> str:
    return day(date.fromisoformat(fact["seen"]))


def _lines(model: Model, history: list[ModelPrice], today: date) -> list[Line]:
    """The prices that people compare models by, over all days that the newest prices speak of."""
    if not history:
        return []
    prices = history[0].decoded()
    starts = [period.start for period in prices.periods if period.start and period.start <= today]
    first = model.first_seen.astimezone(UTC).date()
    if starts and min(starts) <= first:  # what held before is part of how the price moved
        first = min(starts) - max((today - min(starts)) // 12, timedelta(days=14))
    units = [unit for unit in _DRAWN if _priced(prices, unit)] or _any_unit(prices)
    return [
        line_of(unit, number, steps_of(prices, unit, first=first, last=today))
        for number, unit in enumerate(units, start=1)
    ]


def _priced(prices: ModelPrices, unit: str) -> bool:
    return any(unit in period.prices for period in prices.periods)


def _any_unit(prices: ModelPrices) -> list[str]:
    return sorted({unit for period in prices.periods for unit in period.prices})[:1]


def _table_of(lines: list[Line]) -> list[dict[str, Any]]:
    """The chart's values by day, the newest first."""
    days = sorted({day for line in lines for day, _ in line.steps}, reverse=True)
    first = days[-1] if len(days) > 1 else None
    return [
        {"day": each, "before": each == first, "prices": [_price_on(line, each) for line in lines]} for each in days
    ]


def _price_on(line: Line, day: date) -> str:
    price = next((price for start, price in reversed(line.steps) if start <= day), None)
    return "–" if price is None else figures.quoted(line.unit, price)


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
