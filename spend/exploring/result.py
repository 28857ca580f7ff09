"""A view answered: one set of cells behind its figures, chart, table and movers, so that all of them agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from spend.exploring.measures import MEASURES, Measure, Value, together
from spend.exploring.view import View
from spend.exploring.words import Words
from spend.periods import Period, each_day
from spend.queries.movers import Mover, moved
from spend.queries.slices import HOUR_MS, OTHER, Cell, Each, Slice, cells
from spend.zones import calendar, calendar_of, moment_of

SHOWN_GROUPS = 7  # as many as there are series colours
COLUMNS = 7  # of a pivot, beside "all others"
ROWS_A_PAGE = 50
MOVERS_SHOWN = 6
ZERO = Decimal(0)
Begin = date | datetime


class Series(NamedTuple):
    """One band or line of the chart, one column of its table. `number` is its colour, from 1; 0 is "other"."""

    value: str  # of the dimension; OTHER for all others
    number: int
    cells: list[Cell]  # one a bucket, also where nothing was used


class Row(NamedTuple):
    """One row of the table of groups. `now` and `before` are its cells on the days that are compared."""

    value: str
    cell: Cell
    now: Cell | None
    before: Cell | None
    pivot: dict[str, Cell]  # by value of the second dimension


@dataclass(frozen=True)
class Compared:
    """What the view is held against: its days that are over, and the days before them."""

    closed: tuple[date, date]
    days: tuple[date, date]
    now: Cell
    before: Cell
    buckets: list[Cell]  # of the days before, in their order


@dataclass(frozen=True)
class Explored:
    """The answer to a view."""

    view: View
    period: Period
    measure: Measure
    total: Cell
    buckets: list[Begin]
    series: list[Series]
    rows: list[Row]  # all of them, in the view's order
    columns: list[str]  # of a pivot: values of the second dimension
    compared: Compared | None
    movers: list[Mover]

    @property
    def totals(self) -> list[Cell]:
        """What each bucket comes to."""
        every = zip(*(each.cells for each in self.series), strict=True)
        return [together(column, begin) for begin, column in zip(self.buckets, every, strict=True)]

    @property
    def page(self) -> list[Row]:
        begin = (self.view.page - 1) * ROWS_A_PAGE
        return self.rows[begin : begin + ROWS_A_PAGE]

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.rows) // ROWS_A_PAGE))


def explore(tenant_id: str, view: View, period: Period, *, keys: Collection[str] | None, words: Words) -> Explored:
    """Ask for everything that a view shows. Raises ValueError for what cannot be asked, and ClickHouseError."""
    of, measure = view.slice_of(period, keys), MEASURES[view.measure]
    found = cells(tenant_id, of, by=view.by_all)
    groups = _by_first(found, period.first)
    ranked = sorted(groups, key=lambda value: (*_rank(measure, groups[value]), value))
    buckets = _buckets(tenant_id, of, view.each)
    compared: Compared | None = None
    movers: list[Mover] = []
    now: dict[str, Cell] = {}
    before: dict[str, Cell] = {}
    days = period.compared() if view.compare else None
    if days:
        compared, movers, now, before = _compared(tenant_id, view, period, of, days, found)
    columns = _ranked_seconds(found, measure, period.first) if view.then else []
    rows = [
        Row(value, groups.get(value) or together((), period.first), now.get(value), before.get(value), {})
        for value in [*ranked, *sorted(before.keys() - groups.keys())]
    ]
    if view.sort == "name":
        words.learn(view.by, (row.value for row in rows))
    return Explored(
        view,
        period,
        measure,
        together(found, period.first),
        buckets,
        _series(tenant_id, view, of, ranked, buckets),
        _sorted(_pivoted(rows, found, columns, period.first), view, measure, words),
        columns,
        compared,
        movers,
    )


def value_of(row: Row, name: str, total: Cell, measure: Measure) -> Value:
    """What a column of the table says of a row."""
    if name in MEASURES:
        return MEASURES[name].of(row.cell)
    if name == "share":
        whole = measure.of(total)
        part = measure.of(row.cell)
        return Decimal(part) / Decimal(whole) if whole and part is not None else None
    now = measure.of(row.now) if row.now else 0
    before = measure.of(row.before) if row.before else 0
    if name == "before":
        return before if row.before else None
    if now is None or before is None:
        return None
    change = now - before
    if name == "change":
        return change
    return Decimal(change) / Decimal(before) if before else None


def _rank(measure: Measure, cell: Cell) -> tuple[Any, ...]:
    """The largest first; of a measure that is no sum those that cost most, for its extremes are often of nothing."""
    value = measure.of(cell) if measure.adds else cell.charge
    return -(value or 0), -cell.charge, -cell.requests


def _by_first(found: Iterable[Cell], begin: date) -> dict[str, Cell]:
    together_by: dict[str, list[Cell]] = defaultdict(list)
    for cell in found:
        together_by[cell.groups[0] if cell.groups else ""].append(cell)
    return {value: together(own, begin, (value,)) for value, own in together_by.items()}


def _ranked_seconds(found: Iterable[Cell], measure: Measure, begin: date) -> list[str]:
    """The columns of a pivot: the values of the second dimension that come to most, the others together."""
    together_by: dict[str, list[Cell]] = defaultdict(list)
    for cell in found:
        together_by[cell.groups[1]].append(cell)
    ranked = sorted(together_by, key=lambda value: (*_rank(measure, together(together_by[value], begin)), value))
    return ranked if len(ranked) <= COLUMNS + 1 else [*ranked[:COLUMNS], OTHER]


def _pivoted(rows: list[Row], found: Iterable[Cell], columns: Sequence[str], begin: date) -> list[Row]:
    if not columns:
        return rows
    parts: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in found:
        first, second = cell.groups
        parts[first, second if second in columns else OTHER].append(cell)
    own: dict[str, dict[str, Cell]] = defaultdict(dict)
    for (first, second), held in parts.items():
        own[first][second] = together(held, begin, (first, second))
    return [row._replace(pivot=own[row.value]) for row in rows]


def _sorted(rows: list[Row], view: View, measure: Measure, words: Words) -> list[Row]:
    """In the order that the view asks for; what has no value comes last."""
    name = view.sort or view.measure
    if name == "name":
        return sorted(rows, key=lambda row: words.of(view.by, row.value).casefold(), reverse=not view.ascending)
    total = together((row.cell for row in rows), rows[0].cell.begin) if rows else together((), date.min)
    valued = [(value_of(row, name, total, measure), row) for row in rows]
    known = sorted(
        ((value, row) for value, row in valued if value is not None),
        key=lambda pair: (pair[0] if view.ascending else -pair[0], pair[1].value),
    )
    return [*(row for _, row in known), *(row for value, row in valued if value is None)]


def _buckets(tenant_id: str, of: Slice, each: Each) -> list[Begin]:
    """When each bucket begins, also those in which nothing was used."""
    if each is Each.WHOLE:
        return [of.first]
    days = each_day(of.first, of.last)
    if each is Each.DAY:
        return list(days)
    zone = calendar(of.zone) if of.zone else calendar_of(tenant_id)
    return [moment_of(ms) for day in days for ms in range(*zone.bounds(day), HOUR_MS)]


def _series(tenant_id: str, view: View, of: Slice, ranked: list[str], buckets: list[Begin]) -> list[Series]:
    shown = ranked if len(ranked) == SHOWN_GROUPS + 1 else ranked[:SHOWN_GROUPS]
    by = [view.by] if view.by else []
    found = cells(tenant_id, of, by=by, each=view.each, kept=shown if by else None)
    place = {begin: index for index, begin in enumerate(buckets)}
    empty = {value: [together((), begin, (value,)) for begin in buckets] for value in [*shown, OTHER]}
    others = False
    for cell in found:
        value = cell.groups[0] if by else ""
        empty[value][place[cell.begin]] = cell
        others = others or value == OTHER
    series = [
        Series(value, number if number <= SHOWN_GROUPS else 0, empty[value]) for number, value in enumerate(shown, 1)
    ]
    return [*series, Series(OTHER, 0, empty[OTHER])] if others else series


def _compared(
    tenant_id: str, view: View, period: Period, of: Slice, days: tuple[date, date], found: list[Cell]
) -> tuple[Compared, list[Mover], dict[str, Cell], dict[str, Cell]]:
    closed_last = period.closed_last or period.last
    now = found
    if closed_last != period.last:
        now = cells(tenant_id, of.on(period.first, closed_last), by=view.by_all)
    before_of = of.on(*days)
    before = cells(tenant_id, before_of, by=view.by_all)
    drawn = {cell.begin: cell for cell in cells(tenant_id, before_of, each=view.each)}
    own_now, own_before = _by_first(now, period.first), _by_first(before, days[0])
    compared = Compared(
        (period.first, closed_last),
        days,
        together(now, period.first),
        together(before, days[0]),
        [drawn.get(begin) or together((), begin) for begin in _buckets(tenant_id, before_of, view.each)],
    )
    return compared, moved(own_now.values(), own_before.values())[:MOVERS_SHOWN], own_now, own_before
