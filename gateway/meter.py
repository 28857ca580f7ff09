"""From what an answer says of itself to what the call cost: usage → disjoint units → price → an exact amount."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from gateway.apis.base import Reading
from wire.cost import cost_of
from wire.events import UsageSource
from wire.money import usd_string
from wire.prices import Match, PriceBook, context_of, tier_named

FREE = usd_string(0)


class Metered(NamedTuple):
    """What a call used and what that costs. `cost` is a decimal string of USD, None when it is not priced."""

    units: dict[str, int]
    source: UsageSource
    cost: str | None
    model_priced: str
    price_version: int


def meter(
    book: PriceBook | None,
    *,
    provider: str,
    asked: str,
    reading: Reading,
    units: dict[str, int],
    source: UsageSource,
    at_ms: int,
    routed: bool = False,
) -> Metered:
    """Price the units of one call by one price book.

    The model is looked up by the name that was asked for, then by the name that answered (a router's alias). For a
    call that was `routed`, where another model than the one asked for may have answered, it is the other way round.
    A call that used nothing (a provider's error) costs nothing, priced or not.
    """
    match = find(book, provider, *((reading.model, asked) if routed else (asked, reading.model)))
    version = book.version if book is not None else 0
    if match is None:
        return Metered(units, source, None if units else FREE, "", version)
    context = context_of(tier_named(reading.service_tier, reading.speed))
    prices = match.prices.at(datetime.fromtimestamp(at_ms / 1000, UTC), context)
    total = cost_of(units, prices).total
    return Metered(units, source, None if total is None else usd_string(total), match.priced_as, version)


def find(book: PriceBook | None, provider: str, *names: str) -> Match | None:
    """The first of several names that a provider's price list has."""
    if book is None:
        return None
    for name in names:
        match = book.find(provider, name) if name else None
        if match is not None:
            return match
    return None
