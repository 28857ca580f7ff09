"""What of an imported row counts, when calls of it passed the gateway as well. Pure.

A single call that the gateway saw (the provider's request id is the same) counts once, through the gateway. From a
bucket is taken what passed the gateway in the same time, of the same provider and model, within the bucket's pool:
calls, units and the provider's own cost, each never below zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from spend.importing.facts import Fact
from spend.importing.price import Pricing
from wire.events import UsageEvent
from wire.money import pico_from_usd_string, usd_string
from wire.units import INPUT_TOKENS, OUTPUT_TOKENS, UNITS

CREDENTIAL, PROJECT = "credential:", "project:"
_FAMILIES = tuple(
    [name for name in UNITS if name in family] for family in (INPUT_TOKENS, OUTPUT_TOKENS)
)  # in the order in which people read them


class Span(NamedTuple):
    """Where and of what a bucket is: its beginning (Unix ms), width, provider and model."""

    begin: int
    seconds: int
    provider: str
    model: str


@dataclass
class Passed:
    """What passed the gateway in a span with one credential and project, and was not taken from a bucket yet."""

    credential: str
    project: str
    calls: int
    units: dict[str, int]
    cost: int  # pico-USD

    @property
    def nothing(self) -> bool:
        return not (self.calls or any(self.units.values()) or self.cost)


@dataclass
class Taken:
    """What is taken from a bucket."""

    calls: int = 0
    units: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    cost: int = 0


Passes = dict[Span, list[Passed]]


def span_of(fact: Fact, pricing: Pricing) -> Span:
    """A bucket's span. `pricing` knows which names mean the same model."""
    event = fact.event
    return Span(
        event.ts, fact.seconds, event.provider, pricing.named(event.provider, event.model_priced or event.model_asked)
    )


def in_turn(facts: Iterable[Fact]) -> list[Fact]:
    """Buckets in the order in which they take: those that say most of whose calls they hold come first."""
    order = {CREDENTIAL: 0, PROJECT: 1}
    return sorted(facts, key=lambda fact: (order.get(fact.pool.partition(":")[0] + ":", 2), fact.event.event_id))


def take(fact: Fact, passed: Iterable[Passed]) -> Taken:
    """Take from a bucket what passed the gateway. What is taken is gone from `passed`."""
    event, taken = fact.event, Taken()
    units, calls = dict(event.units), event.calls
    cost = pico_from_usd_string(event.cost) if fact.own_cost and event.cost is not None else 0
    for each in passed:
        if not _in_pool(fact.pool, each):
            continue
        number = min(calls, each.calls) if fact.counted else 0
        calls, each.calls, taken.calls = calls - number, each.calls - number, taken.calls + number
        if event.units:
            _take_units(units, each.units, taken)
        amount = min(cost, each.cost) if fact.own_cost else 0
        cost, each.cost, taken.cost = cost - amount, each.cost - amount, taken.cost + amount
    return taken


def _in_pool(pool: str, passed: Passed) -> bool:
    if pool.startswith(CREDENTIAL):
        return passed.credential == pool.removeprefix(CREDENTIAL)
    if pool.startswith(PROJECT):
        return passed.project == pool.removeprefix(PROJECT)
    return True


def _take_units(units: dict[str, int], passed: dict[str, int], taken: Taken) -> None:
    """The same units first; then tokens of the same direction: reports tell fewer kinds than answers do."""
    for name in units:
        _move(name, name, units, passed, taken)
    for family in _FAMILIES:
        for ours in family:
            for theirs in family:
                if units.get(theirs) and passed.get(ours):
                    _move(theirs, ours, units, passed, taken)


def _move(theirs: str, ours: str, units: dict[str, int], passed: dict[str, int], taken: Taken) -> None:
    number = min(units[theirs], passed.get(ours, 0))
    if number:
        units[theirs] -= number
        passed[ours] -= number
        taken.units[theirs] += number


def counts(fact: Fact, taken: Taken, pricing: Pricing) -> UsageEvent:
    """The event as it counts, without what was taken. Its rev is whatever the fact's event says."""
    event = fact.event
    if not (taken.calls or any(taken.units.values()) or taken.cost):
        return event
    units = {name: left for name, count in event.units.items() if (left := count - taken.units.get(name, 0))}
    if not units and not fact.own_cost:
        return nothing(event, calls=event.calls - taken.calls if fact.counted else 0)
    own = pico_from_usd_string(event.cost) - taken.cost if fact.own_cost and event.cost is not None else None
    priced = pricing.price(
        ts=event.ts,
        provider=event.provider,
        model=event.model_asked,
        project=event.project,
        service_tier=event.service_tier,
        units=units,
        calls=max(1, event.calls - taken.calls),
        context=fact.context,
        own=own,
    )
    calls = event.calls - taken.calls if fact.counted else min(event.calls, len(units))
    return msgspec.structs.replace(
        event, calls=calls, units=units, cost=_usd(priced.cost), charge=_usd(priced.charge), model_priced=priced.model
    )


def nothing(event: UsageEvent, *, calls: int = 0) -> UsageEvent:
    """The event when nothing of it counts."""
    return msgspec.structs.replace(event, calls=calls, units={}, cost=usd_string(0), charge=usd_string(0))


def _usd(pico: int | None) -> str | None:
    return None if pico is None else usd_string(pico)
