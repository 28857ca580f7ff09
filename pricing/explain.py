"""Why a call cost what it cost: its units, the prices that held, and where those are from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from pricing.models import ModelPrice
from pricing.queries import price_in, rules_in
from wire.cost import Cost, cost_of
from wire.prices import context_of, list_prices_only
from wire.units import UNITS


class NotExplainedError(LookupError):
    """No price is known for what is to be explained; the message says what is missing."""


@dataclass(frozen=True)
class ExplainedLine:
    """One addend: count × price = amount."""

    unit: str
    label: str
    count: int
    price: int  # pico-USD per unit
    amount: int  # pico-USD
    priced_as: str  # the unit whose price was taken: its own, or that of its fallback
    tier: int | None  # the context length above which this price holds, when a tier decided


class Explanation(NamedTuple):
    """A cost that can be recomputed by hand, and the source of its prices."""

    provider: str  # whose prices apply
    model: str
    price_version: int
    at: datetime
    service_tier: str
    lines: tuple[ExplainedLine, ...]
    total: int | None  # pico-USD; None when a unit had no price
    unpriced: tuple[str, ...]
    source: str
    source_version: str
    source_url: str
    seen_at: datetime

    @property
    def text(self) -> str:
        """The sum as people write it: 21 × 150,000 + 64 × 600,000 = 41,550,000 pico-USD."""
        addends = " + ".join(f"{line.count:,} × {line.price:,}" for line in self.lines)
        if self.total is None:
            missing = " and ".join(self.unpriced)
            return f"{addends + ', and ' if addends else ''}no price for {missing}: the call is unpriced."
        return f"{addends or '0'} = {self.total:,} pico-USD"


def explain(
    *,
    provider: str,
    model_priced: str,
    price_version: int,
    ts_ms: int,
    units: Mapping[str, int],
    service_tier: str = "",
) -> Explanation:
    """Recompute what a usage event cost from the very prices it was priced with, to the last pico-USD.

    All arguments are the event's; `ts_ms` is its arrival in Unix milliseconds. Raises NotExplainedError when the model
    had no price in that version.
    """
    held, borrowed = _price(provider, model_priced, price_version)
    prices = list_prices_only(held.decoded()) if borrowed else held.decoded()
    at = datetime.fromtimestamp(ts_ms / 1000, tz=UTC)
    cost = cost_of(dict(units), prices.at(at, context_of(service_tier)))
    return Explanation(
        provider=held.model.provider_id,
        model=held.model.model_id,
        price_version=price_version,
        at=at,
        service_tier=service_tier,
        lines=_lines(cost),
        total=cost.total,
        unpriced=tuple(_label(unit) for unit in cost.unpriced),
        source=held.source,
        source_version=held.source_version,
        source_url=held.source_url,
        seen_at=held.seen_at,
    )


def _price(provider: str, model_priced: str, version: int) -> tuple[ModelPrice, bool]:
    """The prices that were taken, and whether they were borrowed from another provider (`wire.prices.Match`)."""
    own = price_in(provider, model_priced, version)
    if own is not None:
        return own, False
    rules = rules_in(provider, version)
    owner, slash, model_id = model_priced.partition("/")
    if rules is not None and slash and owner in rules.decoded().fallbacks:
        borrowed = price_in(owner, model_id, version)
        if borrowed is not None:
            return borrowed, True
    if not model_priced:
        raise NotExplainedError("This call was not priced: no price was known for its model.")
    raise NotExplainedError(f"Price book {version} has no price for {model_priced} of {provider}.")


def _lines(cost: Cost) -> tuple[ExplainedLine, ...]:
    return tuple(
        ExplainedLine(
            line.unit, _label(line.unit), line.count, line.price, line.amount, line.priced_as, line.tier_above
        )
        for line in cost.lines
    )


def _label(unit: str) -> str:
    return UNITS[unit].label if unit in UNITS else unit
