"""What an imported row costs: the provider's own cost where the file has it, else our price book at the row's moment.

The charge follows the tenant's overrides, as for calls through the gateway. A bucket holds many calls, so prices that
go by the length of a context go by what the report says of it, or else by the bucket's average call.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from wire.cost import cost_of
from wire.overrides import WHOLE, OverrideKind, Overrides, charge_of
from wire.prices import Match, Price, PriceBook, Tiered, context_of
from wire.units import input_tokens


class Priced(NamedTuple):
    """Amounts in pico-USD; None when there is no price."""

    cost: int | None
    charge: int | None
    model: str  # as the book has it; "" when it does not


class Pricing:
    """Prices by one version of the book and of a tenant's overrides."""

    def __init__(self, book: PriceBook | None, overrides: Overrides) -> None:
        self._book = book
        self._overrides = overrides
        self.version = book.version if book is not None else 0
        self.override_version = overrides.version

    def price(
        self,
        *,
        ts: int,
        provider: str,
        model: str,
        project: str,
        service_tier: str,
        units: dict[str, int],
        calls: int,
        context: int,
        own: int | None,
    ) -> Priced:
        """What units cost and are charged. `own` is the provider's own cost, which is kept."""
        match = self._find(provider, model)
        priced = match.priced_as if match is not None else ""
        listed = None
        if match is not None:
            known = match.prices.at(datetime.fromtimestamp(ts / 1000, UTC), context_of(service_tier))
            listed = _at_length(known, context or input_tokens(units) // max(1, calls))
        cost = own
        if own is None:
            cost = 0 if not units else None if listed is None else cost_of(units, listed).total
        rule = self._overrides.rule_for(provider=provider, model=priced or model, project=project, at_ms=ts)
        if own is not None and not units and rule is not None:
            return Priced(cost, _charge_of_money(own, rule.kind, rule.basis_points), priced)
        return Priced(cost, charge_of(units, listed, rule, cost=cost), priced)

    def named(self, provider: str, model: str) -> str:
        """The model that a name means, as far as the book knows: what tells whether two rows are about the same."""
        match = self._find(provider, model)
        return match.priced_as if match is not None else model.lower()

    def _find(self, provider: str, model: str) -> Match | None:
        return self._book.find(provider, model) if self._book is not None and model else None


def _at_length(prices: Mapping[str, Price], context: int) -> dict[str, Price]:
    return {unit: price.at(context) if isinstance(price, Tiered) else price for unit, price in prices.items()}


def _charge_of_money(cost: int, kind: OverrideKind, basis_points: int) -> int:
    """The charge for money without usage: free is free, a discount is one, and prices by unit have nothing to price."""
    if kind is OverrideKind.FREE:
        return 0
    if kind is not OverrideKind.PERCENT:
        return cost
    over, left = divmod(cost * (WHOLE + basis_points), WHOLE)
    return over + (2 * left > WHOLE or (2 * left == WHOLE and over % 2 == 1))
