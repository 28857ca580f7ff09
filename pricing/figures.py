"""Prices and match rules in words, for pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from typing import NamedTuple

from pricing.history import from_day
from wire.display import count, day, usd, usd_exact
from wire.prices import Clause, ModelPrices, Price, PriceVariant, Tiered
from wire.units import UNITS, Measure, Unit

# How many units people quote a price for.
_QUOTED_FOR = {
    Measure.TOKEN: (10**6, "a million tokens"),
    Measure.CHARACTER: (10**6, "a million characters"),
    Measure.PIXEL: (10**9, "a billion pixels"),
    Measure.SECOND: (3600, "an hour"),
    Measure.PAGE: (1000, "a thousand pages"),
    Measure.REQUEST: (1000, "a thousand requests"),
    Measure.MESSAGE: (1000, "a thousand messages"),
    Measure.SEARCH: (1000, "a thousand searches"),
    Measure.EXECUTION: (1000, "a thousand executions"),
    Measure.IMAGE: (1, "an image"),
}
_UNKNOWN = Unit("", Measure.REQUEST, "")
_ORDER = {name: place for place, name in enumerate(UNITS)}


class Amount(NamedTuple):
    """One figure: as it is quoted, and exactly. `above` is the context length from which it holds, in a tier."""

    quoted: str
    exact: str
    above: int | None = None


class Row(NamedTuple):
    """The price of one unit: its base first, then its tiers."""

    unit: str
    label: str
    per: str
    amounts: tuple[Amount, ...]


class Span(NamedTuple):
    """Prices that hold together, and when."""

    when: str
    rows: tuple[Row, ...]


def row(unit: str, price: Price) -> Row:
    """The price of a unit in words."""
    known = UNITS.get(unit, _UNKNOWN)
    times, per = _QUOTED_FOR[known.measure]
    if isinstance(price, Tiered):
        figures = ((price.base, None), *((amount, start) for start, amount in price.tiers))
    else:
        figures = ((price, None),)
    amounts = tuple(Amount(_quoted(pico, times), _exact(pico, known), above) for pico, above in figures)
    return Row(unit, known.label or unit, per, amounts)


def rows(prices: Mapping[str, Price]) -> tuple[Row, ...]:
    """All prices of a period, in the order in which people read units."""
    ordered = sorted(prices.items(), key=lambda item: (_ORDER.get(item[0], len(_ORDER)), item[0]))
    return tuple(row(unit, price) for unit, price in ordered)


def periods(prices: ModelPrices, today: date) -> tuple[Span, ...]:
    """A model's periods in words, without those that are over; those that come last win last."""
    return tuple(
        Span(_when(period.start if period.start and period.start > today else None, period.hours), rows(period.prices))
        for period in from_day(prices, today).periods
    )


def variants(prices: ModelPrices, today: date) -> tuple[Span, ...]:
    """A model's variants in words, without those that are over, and those that change no price."""
    return tuple(
        Span(_variant(variant), rows(variant.prices)) for variant in from_day(prices, today).variants if variant.prices
    )


def quoted_for(unit: str) -> tuple[int, str]:
    """How many of a unit its price is quoted for, as a number and in words."""
    return _QUOTED_FOR[UNITS.get(unit, _UNKNOWN).measure]


def quoted(unit: str, pico: int) -> str:
    """A price per unit as it is quoted: "$0.15" for 150,000 pico-USD a token."""
    return _quoted(pico, quoted_for(unit)[0])


def moved(basis_points: int | None) -> str:
    """A move in words: "+12.5%", "−100%", "from nothing"."""
    if basis_points is None:
        return "from nothing"
    sign = "+" if basis_points > 0 else "−" if basis_points < 0 else ""
    whole, hundredths = divmod(abs(basis_points), 100)
    places = f".{hundredths:02d}".rstrip("0") if hundredths else ""
    return f"{sign}{count(whole)}{places}%"


def in_short(prices: ModelPrices) -> str:
    """The last period's prices on one line: "input tokens $0.15, output tokens $0.60"."""
    shown = rows(prices.periods[-1].prices)
    if not shown:
        return "no price"
    return ", ".join(f"{each.label} {' → '.join(amount.quoted for amount in each.amounts)}" for each in shown)


def clause_text(clause: Clause) -> str:
    """A match clause as a person reads it: 'begins with "gpt-4o"'."""
    kind, operand = next(iter(clause.items()))
    match kind:
        case "or" | "and":
            return f" {kind} ".join(_part_text(part) for part in operand)
        case "equals":
            return f'is "{operand}"'
        case "starts_with":
            return f'begins with "{operand}"'
        case "ends_with":
            return f'ends with "{operand}"'
        case "regex":
            return f"has the pattern {operand}"
    return f'contains "{operand}"'


def _part_text(clause: Clause) -> str:
    text = clause_text(clause)
    return f"({text})" if "or" in clause or "and" in clause else text


def _quoted(pico: int, times: int) -> str:
    # a price for an hour was rounded to the second: its last digits mean nothing
    return usd(pico * times) if times == 3600 else usd_exact(pico * times)


def _exact(pico: int, unit: Unit) -> str:
    return f"{count(pico)} pico-USD a {unit.measure.value}"


def _variant(variant: PriceVariant) -> str:
    context = " and ".join(f"{key.replace('_', ' ')} is {value}" for key, value in sorted(variant.when.items()))
    when = _when(variant.start, variant.hours)
    if variant.until is not None:
        when = f"{'' if when == 'Always' else f'{when}, '}until before {day(variant.until)} UTC"
    return f"When {context}" if when == "Always" else f"When {context}, {when[0].lower()}{when[1:]}"


def _when(start: date | None, hours: tuple[time, time] | None) -> str:
    parts = []
    if start is not None:
        parts.append(f"from {day(start)} UTC")
    if hours is not None:
        parts.append(f"daily {hours[0]:%H:%M} to {hours[1]:%H:%M} UTC")
    text = ", ".join(parts) or "always"
    return f"{text[0].upper()}{text[1:]}"
