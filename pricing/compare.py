"""What a month of calls costs with one model beside another, at list prices. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from wire.cost import Line, cost_of
from wire.prices import ModelPrices
from wire.units import OPTIONAL, UNITS

MODELS_MOST = 6
TOKENS_MOST, REQUESTS_MOST = 10_000_000, 10**10


@dataclass(frozen=True)
class Mix:
    """What one call uses on average, and how many calls a month has. `cached` tokens are part of `input`."""

    input: int
    cached: int
    output: int
    requests: int

    @property
    def units(self) -> dict[str, int]:
        """The units of one call, disjoint as events have them: it is a request, for which some providers charge too."""
        return {"input": self.input - self.cached, "cache_read": self.cached, "output": self.output, "requests": 1}


# name -> what such calls use
PRESETS: dict[str, Mix] = {
    "Chat": Mix(1_500, 0, 400, 100_000),
    "Questions about documents": Mix(8_000, 4_000, 500, 50_000),
    "Agent": Mix(40_000, 32_000, 1_500, 20_000),
    "Classification": Mix(600, 0, 20, 1_000_000),
}
USUAL = PRESETS["Chat"]


@dataclass(frozen=True)
class Compared:
    """One model at a mix. Amounts are pico-USD; None where a unit has no price, which is not free."""

    provider: str
    model: str
    per_request: int | None
    per_month: int | None
    lines: tuple[Line, ...]
    unpriced: tuple[str, ...]
    cheapest: bool = False
    more: Decimal | None = None  # the share by which it costs more than the cheapest

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"

    @property
    def unpriced_labels(self) -> str:
        """What has no price, in words."""
        return " and ".join(UNITS[unit].label for unit in self.unpriced)


def compare(models: Sequence[tuple[str, str, ModelPrices | None]], mix: Mix, now: datetime) -> list[Compared]:
    """The cost of each model at a mix, the cheapest first, those that cannot be priced last."""
    found = [_priced(provider, model, prices, mix, now) for provider, model, prices in models]
    known = sorted(each.per_month for each in found if each.per_month is not None)
    least = known[0] if known else None
    found.sort(key=lambda each: (each.per_month is None, each.per_month or 0, each.name))
    return [_beside(each, least) for each in found]


def _priced(provider: str, model: str, prices: ModelPrices | None, mix: Mix, now: datetime) -> Compared:
    used = {unit: number for unit, number in mix.units.items() if number}
    if prices is None:
        return Compared(provider, model, None, None, (), tuple(unit for unit in used if unit not in OPTIONAL))
    cost = cost_of(used, prices.at(now))
    per_month = None if cost.total is None else cost.total * mix.requests
    return Compared(provider, model, cost.total, per_month, cost.lines, cost.unpriced)


def _beside(each: Compared, least: int | None) -> Compared:
    if least is None or each.per_month is None:
        return each
    more = Decimal(each.per_month - least) / least if least and each.per_month > least else None
    return Compared(
        each.provider,
        each.model,
        each.per_request,
        each.per_month,
        each.lines,
        each.unpriced,
        cheapest=each.per_month == least,
        more=more,
    )
