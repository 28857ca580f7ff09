"""The catalogue as a list: every model with what holds now, narrowed and in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec
from django.db.models import Q

from pricing.models import Model, ModelPrice
from wire.cost import price_for
from wire.overrides import OverrideRule, at_ms, fits
from wire.prices import ModelPrices, Price, Tiered


class Order(StrEnum):
    """How the list is sorted. A model without the figure comes last, whichever way."""

    NAME = ""
    INPUT = "input"
    INPUT_DOWN = "-input"
    OUTPUT = "output"
    OUTPUT_DOWN = "-output"
    CONTEXT_DOWN = "-context"


class Standing(StrEnum):
    """Which models are listed, by how they stand with their provider."""

    CURRENT = ""
    DEPRECATED = "deprecated"
    GONE = "gone"
    BY_HAND = "by-hand"
    UNPRICED = "unpriced"
    ALL = "all"


@dataclass(frozen=True)
class Wanted:
    """What the list is narrowed to. Empty values narrow nothing, but for `standing`."""

    text: str = ""
    provider: str = ""
    capability: str = ""
    tier: str = ""
    context_least: int = 0
    input_below: int | None = None  # pico-USD a token
    standing: Standing = Standing.CURRENT
    overridden: bool | None = None
    order: Order = Order.NAME


class Listed(NamedTuple):
    """One model of the list, with the prices that hold at the moment."""

    provider: str
    provider_name: str
    model: str
    context_window: int | None
    capabilities: Sequence[str]
    tier: str
    deprecated: bool
    deprecated_on: date | None
    gone: bool
    by_hand: bool
    prices: dict[str, Price]

    @property
    def key(self) -> str:
        """How addresses name it."""
        return f"{self.provider}/{self.model}"

    def figure(self, unit: str) -> int | None:
        """The price of a unit, or that of its fallback, in pico-USD: a tiered one's base."""
        found = price_for(unit, self.prices)
        if found is None:
            return None
        return found[1].base if isinstance(found[1], Tiered) else found[1]


_MODEL = (
    "provider_id",
    "provider__name",
    "model_id",
    "context_window",
    "capabilities",
    "tier",
    "deprecated",
    "deprecated_on",
    "gone",
    "by_hand",
)


def list_models(wanted: Wanted, *, rules: Iterable[OverrideRule] = (), now: datetime | None = None) -> list[Listed]:
    """All models that are wanted, in order. `rules` are a tenant's overrides, for `overridden`."""
    now = now or datetime.now(UTC)
    found = [*_priced(wanted, now), *_gone(wanted)]
    if wanted.capability:
        found = [each for each in found if wanted.capability in each.capabilities]
    if wanted.standing is Standing.UNPRICED:
        found = [each for each in found if not each.prices]
    if wanted.input_below is not None:
        below = wanted.input_below
        found = [each for each in found if (figure := each.figure("input")) is not None and figure <= below]
    if wanted.overridden is not None:
        overridden = override_test(rules, now)
        found = [each for each in found if overridden(each.provider, each.model) is wanted.overridden]
    return _in_order(found, wanted.order)


def override_test(rules: Iterable[OverrideRule], now: datetime) -> Callable[[str, str], bool]:
    """A function that says of a model whether one of a tenant's overrides holds for it now, in any project."""
    at = at_ms(now)
    holding = [(fits(rule.provider), fits(rule.model)) for rule in rules if rule.holds(at)]

    def overridden(provider: str, model: str) -> bool:
        provider, model = provider.lower(), model.lower()
        return any(of_provider(provider) and of_model(model) for of_provider, of_model in holding)

    return overridden


def _priced(wanted: Wanted, now: datetime) -> list[Listed]:
    if wanted.standing is Standing.GONE:
        return []
    rows = ModelPrice.objects.filter(_narrowed(wanted, "model__"), last_version=None)
    if wanted.standing is Standing.CURRENT:
        rows = rows.filter(model__deprecated=False)
    elif wanted.standing is Standing.DEPRECATED:
        rows = rows.filter(model__deprecated=True)
    elif wanted.standing is Standing.BY_HAND:
        rows = rows.filter(model__by_hand=True)
    values = rows.values_list("prices", *(f"model__{name}" for name in _MODEL))
    return [Listed._make([*facts, msgspec.convert(prices, ModelPrices).at(now)]) for prices, *facts in values]


def _gone(wanted: Wanted) -> list[Listed]:
    if wanted.standing not in (Standing.GONE, Standing.ALL):
        return []
    rows = Model.objects.filter(_narrowed(wanted, ""), gone=True).values_list(*_MODEL)
    return [Listed._make([*facts, {}]) for facts in rows]


def _narrowed(wanted: Wanted, prefix: str) -> Q:
    found = Q()
    for word in wanted.text.split():
        found &= (
            Q(**{f"{prefix}model_id__icontains": word})
            | Q(**{f"{prefix}name__icontains": word})
            | Q(**{f"{prefix}provider__id__icontains": word})
        )
    if wanted.provider:
        found &= Q(**{f"{prefix}provider": wanted.provider})
    if wanted.tier:
        found &= Q(**{f"{prefix}tier": wanted.tier})
    if wanted.context_least:
        found &= Q(**{f"{prefix}context_window__gte": wanted.context_least})
    return found


def _in_order(found: list[Listed], order: Order) -> list[Listed]:
    found.sort(key=lambda each: (each.provider, each.model))
    figures: dict[str, Callable[[Listed], int | None]] = {
        "input": lambda each: each.figure("input"),
        "output": lambda each: each.figure("output"),
        "context": lambda each: each.context_window,
    }
    if order is Order.NAME:
        return found
    figure_of = figures[order.removeprefix("-")]
    known = [each for each in found if figure_of(each) is not None]
    known.sort(key=lambda each: figure_of(each) or 0, reverse=order.startswith("-"))
    return known + [each for each in found if figure_of(each) is None]
