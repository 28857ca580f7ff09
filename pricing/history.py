"""How prices change without touching the past: a price book says what held before a day, and what holds from it on.

A call is priced by its own moment, so an event that arrives after a change is priced as those before it were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from itertools import product
from typing import NamedTuple

from msgspec.structs import replace

from wire.cost import price_for
from wire.prices import ModelPrices, Price, PricePeriod, PriceVariant, Tiered
from wire.units import OPTIONAL, UNITS

WHOLE = 10_000  # basis points
_PLACES = {unit: place for place, unit in enumerate(UNITS)}
_MOST_BASIS_POINTS = 2**31 - 1  # what SQL keeps

Context = Mapping[str, str]


class Move(NamedTuple):
    """How one figure moves. A price of None is no price at all: what is counted in this unit is unpriced."""

    unit: str
    before: int | None  # pico-USD per unit
    after: int | None

    @property
    def basis_points(self) -> int | None:
        """The move against the price before, away from zero; None from nothing; -10,000 for a price that is lost."""
        if self.after is None:
            return -WHOLE
        if not self.before:
            return 0 if self.before == self.after else None
        moved = (self.after - self.before) * WHOLE
        away = -(-abs(moved) // self.before)
        return min(away, _MOST_BASIS_POINTS) if moved > 0 else -away

    @property
    def _size(self) -> int:
        points = self.basis_points
        return _MOST_BASIS_POINTS + 1 if points is None else abs(points)


def compose(held: ModelPrices, listed: ModelPrices, effective: date) -> ModelPrices:
    """The held prices for every moment before a UTC day, the listed ones from it on.

    The day is `takes_effect(…)`. Composing again with the same listed prices, then or later, changes nothing. What can
    never hold any more (later periods of the held prices) is dropped, so that only real changes make prices longer.
    """
    day = takes_effect(held, listed, effective)
    if same_from(held, listed, day):
        return replace(held, deprecated=listed.deprecated)
    periods = held.periods
    if _periods_from(held.periods, day) != (later := _periods_from(listed.periods, day)):
        first, *rest = held.periods  # the first holds where no other does, whatever it says itself
        periods = (first, *(period for period in rest if period.start is None or period.start < day), *later)
    variants = held.variants
    if _variants_from(held.variants, day) != (instead := _variants_from(listed.variants, day)):
        variants = (*_variants_until(held.variants, day), *instead)
    return ModelPrices(periods, variants, deprecated=listed.deprecated)


def takes_effect(held: ModelPrices, listed: ModelPrices, effective: date) -> date:
    """The UTC day from which listed prices replace held ones.

    It is `effective`, or earlier when the source itself dates a price that is not held yet: then the source is right.
    """
    return min((effective, *(_starts(listed) - _starts(held))))


def from_day(prices: ModelPrices, day: date) -> ModelPrices:
    """What prices say from a UTC day on: without what is over. What holds on that day begins there."""
    kept = tuple(each for each in prices.variants if each.until is None or each.until > day)
    return ModelPrices(_periods_from(prices.periods, day), kept, deprecated=prices.deprecated)


def steps_of(prices: ModelPrices, unit: str, *, first: date, last: date) -> list[tuple[date, int | None]]:
    """How the price of a unit moved by day, oldest first: each day on which it changes, and `first`.

    It is the list price without any context, at the dearest hour of the day, of a call with a short context.
    """
    steps: list[tuple[date, int | None]] = []
    hours = sorted({time()} | {hour for period in prices.periods for hour in period.hours or ()})
    for day in sorted({first} | {each for each in _starts(prices) if first < each <= last}):
        found = [price_for(unit, prices.at(datetime.combine(day, hour, UTC))) for hour in hours]
        known = [_at(each[1], 0) for each in found if each is not None]
        price = max(known, default=None)
        if not steps or steps[-1][1] != price:
            steps.append((day, price))
    return steps


def same_from(one: ModelPrices, other: ModelPrices, day: date) -> bool:
    """Whether both say the same for every moment from a UTC day on, in every context."""
    if _periods_from(one.periods, day) == _periods_from(other.periods, day) and _variants_from(
        one.variants, day
    ) == _variants_from(other.variants, day):
        return True
    return all(one.at(moment, context) == other.at(moment, context) for moment, context in _situations(one, other, day))


def largest_move(before: ModelPrices, after: ModelPrices, day: date) -> Move | None:
    """The figure that moves the most, of all that hold from a day on; None when none moves.

    A unit without a price of its own is compared by that of its fallback, a tier with the same tier.
    """
    largest: Move | None = None
    for moment, context in _situations(before, after, day):
        for move in _moves(before.at(moment, context), after.at(moment, context)):
            if largest is None or move._size > largest._size:
                largest = move
    return largest


def _moves(before: Mapping[str, Price], after: Mapping[str, Price]) -> Iterator[Move]:
    if before == after:
        return
    for unit in sorted(before.keys() | after.keys(), key=_as_read):
        old, new = price_for(unit, before), price_for(unit, after)
        if old is None and unit in OPTIONAL:
            old = unit, 0  # it cost nothing so far, and was not missed
        if old == new or old is None:
            continue  # what was unpriced gets a price: nothing moves
        if new is None:
            yield Move(unit, _at(old[1], 0), 0 if unit in OPTIONAL else None)
            continue
        for tokens in sorted({0, *_tier_starts(old[1]), *_tier_starts(new[1])}):
            was, becomes = _at(old[1], tokens + 1), _at(new[1], tokens + 1)
            if was != becomes:
                yield Move(unit, was, becomes)


def _as_read(unit: str) -> tuple[int, str]:
    """Input and output first: of figures that move alike, the one that people look for is named."""
    return _PLACES.get(unit, len(_PLACES)), unit


def _at(price: Price, tokens: int) -> int:
    return price.at(tokens) if isinstance(price, Tiered) else price


def _tier_starts(price: Price) -> tuple[int, ...]:
    return tuple(start for start, _ in price.tiers) if isinstance(price, Tiered) else ()


def _situations(one: ModelPrices, other: ModelPrices, day: date) -> Iterator[tuple[datetime, Context]]:
    """Every moment from a day on at which prices may change, in every context that may decide one."""
    spans: list[PricePeriod | PriceVariant] = [*one.periods, *one.variants, *other.periods, *other.variants]
    ends = {each.until for each in (*one.variants, *other.variants) if each.until}
    days = sorted({day} | {each for each in _starts(one) | _starts(other) | ends if each > day})
    times = sorted({time()} | {hour for span in spans for hour in span.hours or ()})
    said: dict[str, set[str | None]] = {}
    for variant in (*one.variants, *other.variants):
        for key, value in variant.when.items():
            said.setdefault(key, {None}).add(value)
    contexts = [
        {key: value for key, value in zip(said, values, strict=True) if value is not None}
        for values in product(*said.values())
    ]
    for each in days:
        for hour in times:
            moment = datetime.combine(each, hour, UTC)
            for context in contexts:
                yield moment, context


def _starts(prices: ModelPrices) -> set[date]:
    spans: tuple[PricePeriod | PriceVariant, ...] = (*prices.periods, *prices.variants)
    return {span.start for span in spans if span.start}


def _periods_from(periods: tuple[PricePeriod, ...], day: date) -> tuple[PricePeriod, ...]:
    """What periods say from a day on, as periods of that day or later; the first of them holds at all hours.

    Left out is what a later one always stands before.
    """
    found: list[PricePeriod] = []
    for period in reversed(periods):
        start = max(period.start, day) if period.start else day
        if not any(start >= _start(later) and later.hours in (None, period.hours) for later in found):
            found.append(PricePeriod(period.prices, start, period.hours))
    if not any(later.hours is None and later.start == day for later in found):
        found.append(PricePeriod(periods[0].prices, day))
    return tuple(reversed(found))


def _start(period: PricePeriod) -> date:
    return period.start or date.min


def _variants_from(variants: tuple[PriceVariant, ...], day: date) -> tuple[PriceVariant, ...]:
    return tuple(
        replace(each, start=max(each.start, day) if each.start else day)
        for each in variants
        if each.until is None or each.until > day
    )


def _variants_until(variants: tuple[PriceVariant, ...], day: date) -> tuple[PriceVariant, ...]:
    return tuple(
        replace(each, until=min(each.until, day) if each.until else day)
        for each in variants
        if each.start is None or each.start < day
    )
