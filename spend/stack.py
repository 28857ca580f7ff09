"""Spend by day and group: the one set of numbers that a page's figure, chart and table are made of. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Protocol

from spend.periods import each_day

SHOWN_GROUPS = 7  # as many as there are series colours; what is beyond them is summed up in one
ZERO = Decimal(0)


class Row(Protocol):
    """What a day's group used (spend.queries.daily.DailyRow)."""

    @property
    def day(self) -> date: ...
    @property
    def group(self) -> str: ...
    @property
    def requests(self) -> int: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def cost(self) -> Decimal: ...
    @property
    def charge(self) -> Decimal: ...
    @property
    def unpriced(self) -> int: ...
    @property
    def errors(self) -> int: ...


@dataclass
class Sum:
    """What many rows come to. Money in USD, exact."""

    requests: int = 0
    tokens: int = 0
    cost: Decimal = ZERO
    charge: Decimal = ZERO
    unpriced: int = 0
    errors: int = 0

    def add(self, row: Row) -> None:
        self.requests += row.requests
        self.tokens += row.input_tokens + row.output_tokens
        self.cost += row.cost
        self.charge += row.charge
        self.unpriced += row.unpriced
        self.errors += row.errors

    @property
    def priced(self) -> int:
        """Requests that have a price."""
        return self.requests - self.unpriced

    @property
    def known_charge(self) -> Decimal | None:
        """USD; None when nothing of it has a price, for unpriced is not free. Sums are made of `charge`."""
        return None if self.requests and not self.priced and not self.charge else self.charge

    @property
    def per_request(self) -> Decimal | None:
        """USD for a priced request; None without any."""
        return self.charge / self.priced if self.priced else None

    @property
    def per_million_tokens(self) -> Decimal | None:
        """USD for a million tokens, those of unpriced requests included; None without any."""
        return self.charge * 10**6 / self.tokens if self.tokens else None

    @property
    def error_rate(self) -> Decimal | None:
        return Decimal(self.errors) / self.requests if self.requests else None


@dataclass
class Series:
    """One band of the chart, one column of the table. `number` is its colour, from 1; 0 is "other"."""

    name: str
    number: int
    values: list[Decimal]  # the charge of each day in USD

    @property
    def total(self) -> Decimal:
        return sum(self.values, ZERO)

    def cumulative(self) -> list[Decimal]:
        """The running total, day by day."""
        running = ZERO
        return [running := running + value for value in self.values]


@dataclass
class Group:
    """One row of the table of groups."""

    id: str
    name: str
    number: int
    sum: Sum
    share: Decimal | None


@dataclass
class Stack:
    """A period's spend, by day and group."""

    days: list[date]
    series: list[Series]
    groups: list[Group]
    total: Sum = field(default_factory=Sum)

    @property
    def day_totals(self) -> list[Decimal]:
        return [sum(values, ZERO) for values in zip(*(each.values for each in self.series), strict=True)] or [
            ZERO
        ] * len(self.days)


def stack(
    rows: Iterable[Row], first: date, last: date, names: Mapping[str, str], *, unnamed: Callable[[str], str] = str
) -> Stack:
    """Put rows together: the groups that cost most have bands of their own, the others share one.

    `names` says what groups are called; `unnamed` names a group that is not in it. Every day of the period is there,
    those without spend as zero.
    """
    days = each_day(first, last)
    place = {day: index for index, day in enumerate(days)}
    total = Sum()
    sums: dict[str, Sum] = defaultdict(Sum)
    values: dict[str, list[Decimal]] = defaultdict(lambda: [ZERO] * len(days))
    for row in rows:
        total.add(row)
        sums[row.group].add(row)
        values[row.group][place[row.day]] += row.charge
    ranked = sorted(sums, key=lambda group: (-sums[group].charge, -sums[group].requests, group))
    shown = ranked if len(ranked) == SHOWN_GROUPS + 1 else ranked[:SHOWN_GROUPS]
    others = ranked[len(shown) :]
    number = {group: index + 1 if index < SHOWN_GROUPS else 0 for index, group in enumerate(shown)}

    def named(group: str) -> str:
        return names.get(group) or unnamed(group)

    series = [Series(named(group), number[group], values[group]) for group in shown]
    if others:
        together = [sum(column, ZERO) for column in zip(*(values[group] for group in others), strict=True)]
        series.append(Series(f"{len(others)} others", 0, together))
    groups = [
        Group(
            group,
            named(group),
            number.get(group, 0),
            sums[group],
            sums[group].charge / total.charge if total.charge else None,
        )
        for group in ranked
    ]
    return Stack(days, series, groups, total)


def total_of(rows: Iterable[Row]) -> Sum:
    """What rows come to."""
    total = Sum()
    for row in rows:
        total.add(row)
    return total
