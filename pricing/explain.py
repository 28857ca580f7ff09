"""Why a call cost what it cost, and why its tenant is charged what it is: the units, the prices that held, where those
are from, and the override that changed them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from pricing.models import ModelPrice
from pricing.override_rules import effect_text
from pricing.queries import price_in, rules_in
from pricing.queries_overrides import finder_of, override_by_id
from wire.cost import Cost, cost_of
from wire.overrides import OverrideKind, OverrideRule, charge_of
from wire.prices import ModelPrices, Price, context_of, list_prices_only
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
        return _sum(self.lines, self.total, self.unpriced)


class ExplainedOverride(NamedTuple):
    """The rule that decided a charge. `name` is today's; "" when it is not to be seen."""

    id: str
    name: str
    kind: str
    effect: str  # such as "15% off the list price"


class ExplainedCharge(NamedTuple):
    """A charge that can be recomputed by hand. Without an override its lines and total are those of the cost."""

    override_version: int
    override: ExplainedOverride | None
    lines: tuple[ExplainedLine, ...]
    total: int | None  # pico-USD; None when a unit had no price
    unpriced: tuple[str, ...]

    @property
    def text(self) -> str:
        """The sum as people write it."""
        return _sum(self.lines, self.total, self.unpriced)

    @property
    def sentence(self) -> str:
        """Which override decides, in words; "" when none does."""
        if self.override is None:
            return ""
        name = f"“{self.override.name}”" if self.override.name else self.override.id
        return f"The override {name} applies: {self.override.effect} (version {self.override_version:,})."


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
    at = _moment(ts_ms)
    held, listed = _listed(provider, model_priced, price_version, at, service_tier)
    cost = cost_of(dict(units), listed)
    return Explanation(
        provider=held.model.provider_id,
        model=held.model.model_id,
        price_version=price_version,
        at=at,
        service_tier=service_tier,
        lines=_lines(cost),
        total=cost.total,
        unpriced=_labels(cost),
        source=held.source,
        source_version=held.source_version,
        source_url=held.source_url,
        seen_at=held.seen_at,
    )


def explain_charge(
    *,
    tenant_id: str,
    project: str,
    provider: str,
    model_asked: str,
    model_priced: str,
    price_version: int,
    override_version: int,
    ts_ms: int,
    units: Mapping[str, int],
    service_tier: str = "",
) -> ExplainedCharge:
    """Recompute what a tenant is charged for a usage event from the very prices and overrides of its versions.

    All arguments are the event's. Raises NotExplainedError when there is neither a list price nor an override, or when
    the tenant has no such version.
    """
    overrides = finder_of(tenant_id, override_version)
    if overrides is None:
        raise NotExplainedError(f"This tenant has no version {override_version} of its overrides.")
    model = model_priced or model_asked
    rule = overrides.rule_for(provider=provider, model=model, project=project, at_ms=ts_ms)
    listed: dict[str, Price] | None = None
    if model_priced or rule is None:
        _, listed = _listed(provider, model_priced, price_version, _moment(ts_ms), service_tier)
    used = dict(units)
    if rule is None:
        cost = cost_of(used, listed or {})
        return ExplainedCharge(override_version, None, _lines(cost), cost.total, _labels(cost))
    priced = cost_of(used, rule.priced(listed or {}))
    total = charge_of(used, listed, rule, cost=None)
    return ExplainedCharge(
        override_version,
        _override(tenant_id, rule),
        _lines(priced),
        total,
        _labels(priced) if total is None else (),
    )


def model_prices(*, provider: str, model_priced: str, price_version: int) -> ModelPrices:
    """The list prices of a model in a version of the book, as events name it. Raises NotExplainedError."""
    return _held(provider, model_priced, price_version)[1]


def _override(tenant_id: str, rule: OverrideRule) -> ExplainedOverride:
    row = override_by_id(tenant_id, rule.id)
    return ExplainedOverride(
        rule.id, row.name if row else "", OverrideKind(rule.kind).value, effect_text(rule.kind, rule.basis_points)
    )


def _moment(ts_ms: int) -> datetime:
    return datetime.fromtimestamp(ts_ms / 1000, tz=UTC)


def _listed(
    provider: str, model_priced: str, version: int, at: datetime, service_tier: str
) -> tuple[ModelPrice, dict[str, Price]]:
    """The row of prices that were taken, and those of them that held at a moment."""
    held, prices = _held(provider, model_priced, version)
    return held, prices.at(at, context_of(service_tier))


def _held(provider: str, model_priced: str, version: int) -> tuple[ModelPrice, ModelPrices]:
    held, borrowed = _price(provider, model_priced, version)
    return held, list_prices_only(held.decoded()) if borrowed else held.decoded()


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


def _labels(cost: Cost) -> tuple[str, ...]:
    return tuple(_label(unit) for unit in cost.unpriced)


def _sum(lines: Sequence[ExplainedLine], total: int | None, unpriced: Sequence[str]) -> str:
    addends = " + ".join(f"{line.count:,} × {line.price:,}" for line in lines)
    if total is None:
        missing = " and ".join(unpriced)
        return f"{addends + ', and ' if addends else ''}no price for {missing}: the call is unpriced."
    return f"{addends or '0'} = {total:,} pico-USD"


def _label(unit: str) -> str:
    return UNITS[unit].label if unit in UNITS else unit
