"""What a tenant is charged instead of list prices: the KV document `pricing:tenant:{tid}`, and how its rules apply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

import msgspec

from wire.cost import cost_of
from wire.prices import Price, Tiered

WHOLE = 10_000  # basis points
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LOOKUPS_KEPT = 2_000


class OverrideKind(StrEnum):
    """How a rule makes a price."""

    ABSOLUTE = "absolute"  # its own prices; a unit that it does not name keeps the list price, 0 is free
    PERCENT = "percent"  # the list price, made dearer or cheaper by basis points
    FREE = "free"


class OverrideRule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One override. Provider and model hold wildcards, in small letters; times are Unix ms, 0 for none."""

    id: str
    kind: OverrideKind
    provider: str = "*"
    model: str = "*"
    project: str = ""  # "" for all of the tenant's
    prices: dict[str, int] = {}  # unit -> pico-USD per unit
    basis_points: int = 0
    start: int = 0
    end: int = 0

    def holds(self, at_ms: int) -> bool:
        """Whether it is in effect at a moment."""
        return self.start <= at_ms and (not self.end or at_ms < self.end)

    def priced(self, listed: Mapping[str, Price]) -> dict[str, Price]:
        """The prices that this rule makes of a model's list prices, each rounded half-even to a pico-USD."""
        if self.kind is OverrideKind.ABSOLUTE:
            return {**listed, **self.prices}
        if self.kind is OverrideKind.PERCENT:
            return {unit: _moved(price, self.basis_points) for unit, price in listed.items()}
        return dict.fromkeys(listed, 0)


class TenantPricing(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The document: rules in the order in which they are tried. The first that fits decides."""

    schema: int
    rev: int
    env: str
    tenant: str
    version: int
    rules: tuple[OverrideRule, ...] = ()


class Overrides:
    """Finds the rule for a call. Never changes after it is made."""

    def __init__(self, document: TenantPricing) -> None:
        self.version = document.version
        self.rules = document.rules
        self._rules = tuple((rule, fits(rule.provider), fits(rule.model)) for rule in document.rules)
        self._candidates = lru_cache(maxsize=_LOOKUPS_KEPT)(self._fitting)

    def rule_for(self, *, provider: str, model: str, project: str, at_ms: int) -> OverrideRule | None:
        """The first rule that fits a call; None when the list price holds.

        `model` is the one priced (`Match.priced_as`), or the one asked for when it has no list price.
        """
        for rule in self._candidates(provider.lower(), model.lower()[:512]):
            if rule.project in ("", project) and rule.holds(at_ms):
                return rule
        return None

    def _fitting(self, provider: str, model: str) -> tuple[OverrideRule, ...]:
        return tuple(rule for rule, of_provider, of_model in self._rules if of_provider(provider) and of_model(model))


def charge_of(
    units: dict[str, int], listed: Mapping[str, Price] | None, rule: OverrideRule | None, *, cost: int | None
) -> int | None:
    """What a tenant is charged for a call, in pico-USD; None when that is not known. Equal to cost without a rule."""
    if rule is None:
        return cost
    if rule.kind is OverrideKind.FREE or not units:
        return 0
    if listed is None and rule.kind is OverrideKind.PERCENT:
        return None
    return cost_of(units, rule.priced(listed or {})).total


def _moved(price: Price, basis_points: int) -> Price:
    if isinstance(price, Tiered):
        tiers = tuple((start, _scaled(amount, basis_points)) for start, amount in price.tiers)
        return Tiered(_scaled(price.base, basis_points), tiers)
    return _scaled(price, basis_points)


def _scaled(amount: int, basis_points: int) -> int:
    whole, left = divmod(amount * (WHOLE + basis_points), WHOLE)
    return whole + (2 * left > WHOLE or (2 * left == WHOLE and whole % 2 == 1))


def fits(pattern: str) -> Callable[[str], bool]:
    """A pattern as a function of a name in small letters: * stands for any text, every other sign for itself."""
    first, *parts = pattern.lower().split("*")
    if not parts:
        return lambda text: text == first
    *middle, last = parts
    outer = len(first) + len(last)

    def is_one(text: str) -> bool:
        if len(text) < outer or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:  # the earliest place leaves most for what follows
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return is_one


def at_ms(moment: datetime) -> int:
    """Unix ms of a moment (aware), as rules count; what is finer is cut off."""
    return (moment - _EPOCH) // _MILLISECOND


decode_tenant_pricing = msgspec.json.Decoder(TenantPricing).decode
