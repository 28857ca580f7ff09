"""Cost: units times price, an exact integer of pico-USD. The one place where it is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from wire.prices import Price, Tiered
from wire.units import OPTIONAL, UNITS, input_tokens


class Line(msgspec.Struct, frozen=True):
    """One addend of a cost: `count` × `price` = `amount`, with the unit whose price was taken."""

    unit: str
    count: int
    price: int  # pico-USD per unit
    amount: int  # pico-USD
    priced_as: str
    tier_above: int | None  # the context length above which this price holds, when a tier decided


class Cost(NamedTuple):
    """The cost of one call. `total` is None when a unit was used that has no price: unpriced is not free."""

    total: int | None  # pico-USD
    lines: tuple[Line, ...]
    unpriced: tuple[str, ...]


def cost_of(units: dict[str, int], prices: dict[str, Price]) -> Cost:
    """Price disjoint units of one call.

    A unit with no price of its own takes that of its fallback (see `wire.units`). Units counted zero cost nothing
    and need no price. Raises ValueError for a negative count: usage is never negative.
    """
    context = input_tokens(units)
    lines: list[Line] = []
    unpriced: list[str] = []
    for name, count in units.items():
        if count < 0:
            raise ValueError(f"A call cannot use {count} of {name}.")
        if count == 0:
            continue
        found = price_for(name, prices)
        if found is None:
            if name not in OPTIONAL:
                unpriced.append(name)
            continue
        priced_as, price = found
        tier_above = None
        if isinstance(price, Tiered):
            tier_above = max((start for start, _ in price.tiers if context > start), default=None)
            price = price.at(context)
        lines.append(Line(name, count, price, count * price, priced_as, tier_above))
    total = None if unpriced else sum(line.amount for line in lines)
    return Cost(total, tuple(lines), tuple(unpriced))


def price_for(name: str, prices: Mapping[str, Price]) -> tuple[str, Price] | None:
    """The unit whose price a unit takes, and that price: its own, or that of its fallback; None when it has neither."""
    unit = UNITS.get(name)
    for candidate in (name, *(unit.fallbacks if unit else ())):
        if candidate in prices:
            return candidate, prices[candidate]
    return None
