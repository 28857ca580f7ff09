"""What a change of a sync changes, figure by figure, and rule by rule, for the eye."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any, NamedTuple

import msgspec

from pricing import figures
from pricing.history import Context, Move
from pricing.models import PriceChange
from wire.cost import price_for
from wire.prices import Clause, ModelPrices, Price, ProviderRules, Tiered
from wire.units import UNITS

_ORDER = {name: place for place, name in enumerate(UNITS)}


class Figure(NamedTuple):
    """One figure before and after, as it is quoted; "" where there is none."""

    label: str
    per: str
    before: str
    after: str
    moved: str  # "+12.5%"; "" when it is new or gone
    dearer: bool | None  # None: it neither rises nor falls


class RuleChange(NamedTuple):
    """A rule that is new, or is there no more."""

    added: bool
    text: str
    model: str


def figures_of(row: PriceChange, day: date) -> list[Figure]:
    """The figures that differ from a UTC day on, at every hour and in every context that decides one."""
    before, after = (None if each is None else msgspec.convert(each, ModelPrices) for each in (row.before, row.after))
    found: list[Figure] = []
    seen = set()
    for moment, context, words in _situations(before, after, day):
        old, new = (each.at(moment, context) if each else {} for each in (before, after))
        for unit in sorted(old.keys() | new.keys(), key=lambda name: (_ORDER.get(name, len(_ORDER)), name)):
            for above in sorted({0, *_starts(old.get(unit)), *_starts(new.get(unit))}):
                was, becomes = _at(unit, old, above), _at(unit, new, above)
                if was != becomes and (unit, above, was, becomes) not in seen:  # a context that says nothing else
                    seen.add((unit, above, was, becomes))
                    found.append(_figure(unit, above, was, becomes, words))
    return found


def rules_of(row: PriceChange) -> list[RuleChange]:
    """The rules of a provider that are new, and those that are gone."""
    before, after = (
        () if each is None else msgspec.convert(each, ProviderRules).rules for each in (row.before, row.after)
    )
    return [
        *(_rule(rule, added=True) for rule in after if rule not in before),
        *(_rule(rule, added=False) for rule in before if rule not in after),
    ]


def _rule(rule: tuple[Clause, str], *, added: bool) -> RuleChange:
    clause, model = rule
    return RuleChange(added, figures.clause_text(clause), model)


def _figure(unit: str, above: int, was: int | None, becomes: int | None, words: str) -> Figure:
    row = figures.row(unit, 0)
    label = row.label + (f" above {above:,} tokens" if above else "") + (f", {words}" if words else "")
    move = Move(unit, was, becomes) if was is not None and becomes is not None else None
    return Figure(
        label,
        row.per,
        "" if was is None else figures.quoted(unit, was),
        "" if becomes is None else figures.quoted(unit, becomes),
        figures.moved(move.basis_points) if move else "",
        None if was is None or becomes is None else becomes > was,
    )


def _at(unit: str, prices: dict[str, Price], above: int) -> int | None:
    found = price_for(unit, prices) if unit in prices or above else None
    if found is None:
        return None
    return found[1].at(above + 1) if isinstance(found[1], Tiered) else found[1]


def _starts(price: Price | None) -> tuple[int, ...]:
    return tuple(start for start, _ in price.tiers) if isinstance(price, Tiered) else ()


def _situations(
    before: ModelPrices | None, after: ModelPrices | None, day: date
) -> list[tuple[datetime, Context, str]]:
    """The moments and contexts of a day that decide figures, each with its words; the plain one first."""
    both = [each for each in (before, after) if each is not None]
    found: dict[tuple[Any, ...], tuple[datetime, Context, str]] = {}

    def add(context: dict[str, str], hour: time) -> None:
        words = " and ".join(f"{key.replace('_', ' ')} {value}" for key, value in sorted(context.items()))
        hours = f"from {hour:%H:%M} UTC" if hour != time() else ""
        text = ", ".join(each for each in (words, hours) if each)
        found.setdefault((*sorted(context.items()), hour), (datetime.combine(day, hour, UTC), context, text))

    add({}, time())
    for hour in sorted({hour for prices in both for period in prices.periods for hour in period.hours or ()}):
        add({}, hour)
    for prices in both:
        for variant in prices.variants:
            add(variant.when, variant.hours[0] if variant.hours else time())
    return list(found.values())
