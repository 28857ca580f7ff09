"""A slice of a tenant's usage, and what it comes to: the one question behind figures, charts, tables and exports.

Whole days in a time zone, narrowed by values of dimensions, summed up by buckets of time and by dimensions. Answered
from `usage_daily` where that can know it (the tenant's own days, its columns), else from the events themselves; the
sums are the same to the last decimal, as the rollup is counted by the same expressions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from django.conf import settings

from spend.clickhouse.client import ask
from spend.periods import each_day
from spend.queries.dimensions import Dimension, dimension
from spend.queries.filters import Conditions
from spend.queries.measures import OF_DAYS, OF_EVENTS
from spend.queries.rollup import counted_days
from spend.retention import usage_kept_from
from spend.zones import Calendar, calendar, calendar_of, moment_of

OTHER = "\x00other"  # the group of all values that are not kept
HOURS_MOST = 1_000
HOUR_MS = 3_600_000


class Each(StrEnum):
    """The buckets of time. All of them are in the slice's zone; hours are counted from its midnights."""

    WHOLE = "whole"
    DAY = "day"
    HOUR = "hour"


@dataclass(frozen=True)
class Slice:
    """Days from `first` to `last`, both included, in `zone` ("" for the tenant's own), narrowed.

    `only` and `without` are values by dimension: one of these, none of these. `keys` are the API keys whose usage may
    be seen; None means every key's.
    """

    first: date
    last: date
    zone: str = ""
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    without: Mapping[str, Sequence[str]] = field(default_factory=dict)
    keys: Collection[str] | None = None

    def on(self, first: date, last: date) -> Slice:
        """The same on other days."""
        return replace(self, first=first, last=last)


class NotKeptError(ValueError):
    """A question that only single calls could answer, about days whose calls are not kept any more."""


class Cell(NamedTuple):
    """What one bucket's group comes to. Money in USD, exact; an unpriced request counts as nothing, and is counted.

    `begin` is the bucket's first moment (hours), its day (days), or the slice's first day. `groups` are the values of
    the dimensions asked for, in their order. `requests` are calls, whatever became of them; `duration_ms` their sum.
    """

    begin: date | datetime
    groups: tuple[str, ...]
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    unpriced_requests: int
    unpriced_tokens: int
    cost: Decimal
    charge: Decimal
    duration_ms: int
    errors: int


def cells(
    tenant_id: str,
    of: Slice,
    *,
    by: Sequence[str] = (),
    each: Each = Each.WHOLE,
    kept: Collection[str] | None = None,
    order_by: str = "",
    most: int | None = None,
    purpose: str = "explore",
) -> list[Cell]:
    """What a slice comes to by buckets and dimensions, in the order of time and groups. Nothing where nothing was used.

    `kept` are values of the first dimension that stay groups of their own; all others become the group OTHER.
    `order_by` is a measure (the largest first) and `most` how many cells at most, for rankings.
    Raises ValueError for what cannot be asked, TooMuchError when the answer has too many rows, UnavailableError.
    """
    own = calendar_of(tenant_id)
    days = calendar(of.zone) if of.zone else own
    chosen = [dimension(name, tenant_id) for name in by]
    narrowed = [dimension(name, tenant_id) for name in (*of.only, *of.without)]
    from_days = (
        each is not Each.HOUR
        and days.zone == own.zone
        and all(item.of_days is not None for item in (*chosen, *narrowed))
    )
    where = _where(of, narrowed, from_days=from_days)
    bucket = "toDate(0)"
    if from_days:
        where.days(of.first, of.last)
        source, measures = counted_days(str(where), where.whole_days), OF_DAYS
        bucket = "day" if each is Each.DAY else bucket
        inner = ""
    else:
        begins = _begins(days, of, each)
        if begins[0] < usage_kept_from():
            raise NotKeptError(
                f"Single calls are kept for {settings.USAGE_RETENTION_DAYS} days, and this can only be summed up from "
                "them: choose later days, or the tenant's own time zone and no tags, end users or hours."
            )
        where.arrived(begins[0], days.bounds(of.last)[1])
        source, measures = "usage_events FINAL", OF_EVENTS
        inner = f" {where.of_arrivals}"
        if each is not Each.WHOLE:
            bucket = "roundDown(toUnixTimestamp64Milli(ts), %(begins)s)"
            where.parameters["begins"] = begins
    groups = [
        _column(item, from_days=from_days, kept=kept if place == 0 else None) for place, item in enumerate(chosen)
    ]
    if kept is not None:
        where.parameters |= {"kept": tuple(kept) or ("",), "other": OTHER}
    named = [f"{sql} AS g{place}" for place, sql in enumerate(groups)]
    grouped = ", ".join(["bucket", *(f"g{place}" for place in range(len(groups)))])
    sums = ", ".join(f"{sql} AS m_{name}" for name, sql in measures.items())
    sql = (
        f"SELECT {', '.join([f'{bucket} AS bucket', *named, sums])} FROM {source}{inner} GROUP BY {grouped}"  # noqa: S608
        " HAVING m_requests > 0 OR m_cost != 0 OR m_charge != 0"
        f" ORDER BY {f'm_{_measure(order_by)} DESC, {grouped}' if order_by else grouped}"
    )
    if most is not None:
        sql, where.parameters["most"] = f"{sql} LIMIT %(most)s", most
    for item in (*chosen, *narrowed):
        where.parameters |= item.parameters
    rows = ask(sql, where.parameters, tenant_id=tenant_id, purpose=purpose)
    end = 1 + len(groups)
    return [Cell(_begin(row[0], of, days, each), tuple(row[1:end]), *row[end:]) for row in rows]


def single_events(tenant_id: str, of: Slice) -> Conditions:
    """The conditions under which a single event is in a slice. Raises ValueError for what cannot be asked."""
    days = calendar(of.zone) if of.zone else calendar_of(tenant_id)
    narrowed = [dimension(name, tenant_id) for name in (*of.only, *of.without)]
    where = _where(of, narrowed, from_days=False).arrived(*days.bounds(of.first, of.last))
    for item in narrowed:
        where.parameters |= item.parameters
    return where


def _where(of: Slice, narrowed: Sequence[Dimension], *, from_days: bool) -> Conditions:
    where = Conditions().keys(of.keys)
    values = [*((wanted, "IN") for wanted in of.only.values()), *((wanted, "NOT IN") for wanted in of.without.values())]
    for place, (item, (wanted, sign)) in enumerate(zip(narrowed, values, strict=True)):
        if not wanted:
            raise ValueError(f"No value of {item.name!r} was given to narrow spend to.")
        column = _column(item, from_days=from_days, kept=None)
        where.add(f"{column} {sign} %(v{place})s", **{f"v{place}": tuple(wanted)})
    return where


def _column(item: Dimension, *, from_days: bool, kept: Collection[str] | None) -> str:
    column = item.of_days if from_days and item.of_days is not None else item.of_events
    return column if kept is None else f"if({column} IN %(kept)s, {column}, %(other)s)"


def _measure(name: str) -> str:
    if name not in OF_EVENTS:
        raise ValueError(f"Spend cannot be ordered by {name!r}: choose one of {', '.join(OF_EVENTS)}.")
    return name


def _begins(days: Calendar, of: Slice, each: Each) -> list[int]:
    """Where each bucket begins, Unix ms: computed here, so that an event is in the same bucket for every engine."""
    if each is not Each.HOUR:
        return [days.bounds(day)[0] for day in each_day(of.first, of.last)]
    begins = [ms for day in each_day(of.first, of.last) for ms in range(*days.bounds(day), HOUR_MS)]
    if len(begins) > HOURS_MOST:
        raise ValueError(f"That is more than {HOURS_MOST} hours: choose fewer days, or look at them by day.")
    return begins


def _begin(bucket: Any, of: Slice, days: Calendar, each: Each) -> date | datetime:
    if each is Each.WHOLE:
        return of.first
    if isinstance(bucket, date):
        return bucket
    return moment_of(bucket) if each is Each.HOUR else days.day_of(bucket)
