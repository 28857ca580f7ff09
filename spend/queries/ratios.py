"""How a tenant's calls went: how long they took, and how many were refused before they were any."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from spend.clickhouse.client import ask
from spend.queries.filters import Conditions
from spend.queries.slices import Slice, single_events
from spend.zones import calendar, calendar_of

_CALLS = "kind = 'call' AND source = ''"  # what was imported was not timed by us
_LEVELS = "0.5, 0.95, 0.99"
# the dimensions that a refused call has, too; it has no price, so the model that it asked for is none of them
_OF_DENIALS = {"project": "project_id", "key": "key_id", "env": "env", "model_asked": "model_asked", "route": "route"}


class Percentiles(NamedTuple):
    """Milliseconds that half of the calls, 95 of 100 and 99 of 100 of them did not exceed; of how many calls."""

    p50: int
    p95: int
    p99: int
    calls: int


class Latency(NamedTuple):
    """How long calls took to their end and to their first byte; None without any that was timed."""

    duration: Percentiles | None
    first_byte: Percentiles | None


class Denied(NamedTuple):
    """How many calls were refused, beside those that passed."""

    denied: int
    passed: int

    @property
    def rate(self) -> Decimal | None:
        """The share of refused calls among all; None without any."""
        every = self.denied + self.passed
        return Decimal(self.denied) / every if every else None


def latency(tenant_id: str, of: Slice) -> Latency:
    """The percentiles of a slice's calls through the gateway, exact. Those answered from our own cache are in it."""
    where = single_events(tenant_id, of).add(_CALLS)
    sql = (
        f"SELECT count(), quantilesExact({_LEVELS})(duration_ms), countIf(ttfb_ms > 0),"  # noqa: S608 - our own SQL
        f" quantilesExactIf({_LEVELS})(ttfb_ms, ttfb_ms > 0) FROM usage_events FINAL {where.of_arrivals}"
    )
    calls, durations, first, first_bytes = ask(sql, where.parameters, tenant_id=tenant_id, purpose="latency")[0]
    return Latency(_percentiles(durations, calls), _percentiles(first_bytes, first))


def _percentiles(found: Sequence[int], calls: int) -> Percentiles | None:
    return Percentiles(found[0], found[1], found[2], calls) if calls else None


def denied(tenant_id: str, of: Slice, *, passed: int) -> Denied | None:
    """How many of a slice's calls were refused; None when it is narrowed by what a refused call does not have.

    `passed` is how many were not, as `slices.cells` counts them.
    """
    if not {*of.only, *of.without} <= _OF_DENIALS.keys():
        return None
    days = calendar(of.zone) if of.zone else calendar_of(tenant_id)
    where = Conditions().keys(of.keys).arrived(*days.bounds(of.first, of.last))
    for sign, chosen in (("IN", of.only), ("NOT IN", of.without)):
        for name, values in chosen.items():
            parameter = f"{'without' if sign == 'NOT IN' else 'only'}_{name}"
            where.add(f"{_OF_DENIALS[name]} {sign} %({parameter})s", **{parameter: tuple(values)})
    sql = f"SELECT count() FROM denial_events FINAL WHERE {where}"  # noqa: S608 - our own SQL
    return Denied(ask(sql, where.parameters, tenant_id=tenant_id, purpose="denials counted")[0][0], passed)
