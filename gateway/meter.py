"""From what an answer says of itself to what the call cost: usage → disjoint units → price → an exact amount."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from gateway.apis.base import Reading
from gateway.tenantprices import LIST_PRICES, Terms
from wire.cost import cost_of
from wire.events import UsageSource
from wire.money import usd_string
from wire.overrides import charge_of
from wire.prices import Match, Price, PriceBook, context_of, tier_named


class Metered(NamedTuple):
    """What a call used, what that costs, and what the tenant is charged for it.

    Both are decimal strings of USD; None when that is not known. They are equal unless an override says otherwise.
    """

    units: dict[str, int]
    source: UsageSource
    cost: str | None
    charge: str | None
    model_priced: str
    price_version: int
    override_version: int


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
    terms: Terms = LIST_PRICES,
    project: str = "",
) -> Metered:
    """Price the units of one call by one price book and by one version of its tenant's overrides.

    The model is looked up by the name that was asked for, then by the name that answered (a router's alias). For a
    call that was `routed`, where another model than the one asked for may have answered, it is the other way round.
    A call that used nothing (a provider's error) costs nothing, priced or not. The override is found by the model that
    was priced, or by the one asked for where the list has none; it is the one in effect at the call's arrival.
    """
    match = find(book, provider, *((reading.model, asked) if routed else (asked, reading.model)))
    listed: dict[str, Price] | None = None
    if match is not None:
        context = context_of(tier_named(reading.service_tier, reading.speed))
        listed = match.prices.at(datetime.fromtimestamp(at_ms / 1000, UTC), context)
        cost = cost_of(units, listed).total
    else:
        cost = None if units else 0
    priced_as = match.priced_as if match is not None else ""
    return Metered(
        units=units,
        source=source,
        cost=_text(cost),
        charge=_text(_charge(terms, units, listed, cost, provider, priced_as or asked, project, at_ms)),
        model_priced=priced_as,
        price_version=book.version if book is not None else 0,
        override_version=terms.version,
    )


def _charge(
    terms: Terms,
    units: dict[str, int],
    listed: dict[str, Price] | None,
    cost: int | None,
    provider: str,
    model: str,
    project: str,
    at_ms: int,
) -> int | None:
    if not terms.known:
        return None if units else 0
    if terms.overrides is None:
        return cost
    rule = terms.overrides.rule_for(provider=provider, model=model, project=project, at_ms=at_ms)
    return charge_of(units, listed, rule, cost=cost)


def _text(pico: int | None) -> str | None:
    return None if pico is None else usd_string(pico)


def find(book: PriceBook | None, provider: str, *names: str) -> Match | None:
    """The first of several names that a provider's price list has."""
    if book is None:
        return None
    for name in names:
        match = book.find(provider, name) if name else None
        if match is not None:
            return match
    return None
