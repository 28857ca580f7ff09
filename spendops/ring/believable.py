"""Believable usage: working days and weekends, a morning and an afternoon, prompts that fit what the keys are for.

Deterministic: the same arguments give the same events. Prices are those of the price book, so that every cost can be
explained.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from wire.cost import cost_of
from wire.events import DenialEvent, Denied, Status, UsageEvent
from wire.money import usd_string
from wire.overrides import Overrides, charge_of
from wire.prices import PriceBook


class Caller(NamedTuple):
    """A key and how it is used: what it asks for, how long its prompts and answers are, how often."""

    tenant: str
    project: str
    key: str
    env: str
    provider: str
    model: str
    route: str
    prompt: int  # tokens, typically
    answer: int
    a_day: int  # on a working day
    weekends: float = 0.3  # the share of a working day


def event_id_at(at: datetime, dice: random.Random) -> str:
    """A UUIDv7 of a moment."""
    ms = int(at.timestamp() * 1000)
    return str(uuid.UUID(int=(ms << 80) | (7 << 76) | (dice.getrandbits(12) << 64) | (2 << 62) | dice.getrandbits(62)))


def usage(
    callers: Sequence[Caller],
    book: PriceBook,
    *,
    until: datetime,
    days: int,
    seed: int = 11,
    spikes: Mapping[str, tuple[int, float]] | None = None,
    overrides: Overrides | None = None,
) -> list[UsageEvent]:
    """The usage events of some days, the last of which ends at `until`, oldest first. Use grows from week to week.

    `overrides` are the tenant's; without them it is charged what calls cost.

    `spikes` says of a key how many days ago it was called how many times as often as usual.
    """
    dice = random.Random(seed)
    events = []
    for caller in callers:
        for ago in range(days):
            begin = (until - timedelta(days=ago)).replace(hour=0, minute=0, second=0, microsecond=0)
            busy = caller.weekends if begin.weekday() >= 5 else 1.0
            growth = 1 - 0.035 * (ago // 7)
            spike_day, times = (spikes or {}).get(caller.key, (-1, 1.0))
            often = busy * max(0.3, growth) * (times if ago == spike_day else 1.0)
            for _ in range(round(caller.a_day * often * dice.uniform(0.85, 1.15))):
                hour = min(23.9, max(0.0, dice.choice((dice.gauss(10, 2), dice.gauss(15, 2.5)))))
                at = begin + timedelta(hours=hour, milliseconds=dice.randrange(1000))
                if at <= until:
                    events.append(_call(caller, book, overrides, at, dice))
    return sorted(events, key=lambda event: event.ts)


def denials(callers: Sequence[Caller], *, until: datetime, number: int, seed: int = 5) -> list[DenialEvent]:
    """Refused calls of the last days."""
    dice = random.Random(seed)
    reasons = [
        (Denied.BUDGET_EXHAUSTED, 402),
        (Denied.KEY_EXPIRED, 401),
        (Denied.BODY_TOO_LARGE, 413),
        (Denied.MODEL_NOT_ALLOWED, 403),
        (Denied.KEY_REVOKED, 401),
    ]
    found = []
    for _ in range(number):
        caller, (reason, status) = dice.choice(callers), dice.choice(reasons)
        at = until - timedelta(minutes=dice.randrange(1, 6 * 24 * 60))
        found.append(
            DenialEvent(
                event_id=event_id_at(at, dice),
                ts=int(at.timestamp() * 1000),
                env=caller.env,
                tenant=caller.tenant,
                project=caller.project,
                key=caller.key,
                route=caller.route,
                model_asked=caller.model,
                reason=reason,
                http_status=status,
                request_id=f"req_{dice.getrandbits(64):016x}",
            )
        )
    return sorted(found, key=lambda event: event.ts)


def _call(
    caller: Caller, book: PriceBook, overrides: Overrides | None, at: datetime, dice: random.Random
) -> UsageEvent:
    failed = dice.random() < 0.012
    prompt = max(8, round(dice.lognormvariate(0, 0.5) * caller.prompt))
    answer = round(dice.lognormvariate(0, 0.6) * caller.answer)
    cached = prompt // 2 // 128 * 128 if dice.random() < 0.3 else 0
    units = {} if failed else {"input": prompt - cached, "output": answer, "cache_read": cached}
    units = {name: number for name, number in units.items() if number}
    match = book.find(caller.provider, caller.model)
    listed = match.prices.at(at.astimezone(UTC), {}) if match else None
    total = 0 if not units else None if listed is None else cost_of(units, listed).total
    charged = total
    if overrides is not None:
        rule = overrides.rule_for(
            provider=caller.provider,
            model=match.priced_as if match else caller.model,
            project=caller.project,
            at_ms=int(at.timestamp() * 1000),
        )
        charged = charge_of(units, listed, rule, cost=total)
    first_byte = dice.randrange(120, 600)
    took = first_byte + answer * dice.randrange(8, 20)
    return UsageEvent(
        event_id=event_id_at(at, dice),
        ts=int(at.timestamp() * 1000),
        env=caller.env,
        tenant=caller.tenant,
        project=caller.project,
        key=caller.key,
        route=caller.route,
        provider=caller.provider,
        model_asked=caller.model,
        model_priced=match.priced_as if match else "",
        units=units,
        price_version=book.version,
        override_version=overrides.version if overrides is not None else 0,
        cost=_text(total),
        charge=_text(charged),
        status=Status.ERROR if failed else Status.OK,
        http_status=dice.choice((429, 500, 529)) if failed else 200,
        ttfb_ms=first_byte,
        duration_ms=took,
        streamed=dice.random() < 0.5,
        request_id=f"req_{dice.getrandbits(64):016x}",
        upstream_request_id=f"up_{dice.getrandbits(64):016x}",
    )


def _text(pico: int | None) -> str | None:
    return None if pico is None else usd_string(pico)
