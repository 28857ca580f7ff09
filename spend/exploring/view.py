"""A view of spend: everything that an address of the Explore page says, and that address again. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from spend.exploring.filters import FilterError, Narrowed, Pairs, Query, filters_of, is_filter, pairs_of, query_string
from spend.exploring.measures import MEASURES
from spend.periods import Choice, Period, PeriodError, period_of
from spend.queries.dimensions import dimension
from spend.queries.slices import HOURS_MOST, Each, Slice
from tenants.frame.days import day_of

PAGES_MOST = 10_000
PREVIOUS = "previous"
HOURS_A_DAY_MOST = 25
PARAMETERS = frozenset(
    {
        "by", "then", "period", "first", "last", "zone", "each", "measure", "compare", "chart", "sort", "order", "page"
    }
)  # fmt: skip


class Drawn(StrEnum):
    """How the buckets are shown."""

    BARS = "bars"
    LINES = "lines"
    TABLE = "table"


class Problem(NamedTuple):
    """A parameter that cannot be taken, and what to choose instead."""

    name: str
    message: str


@dataclass(frozen=True)
class View:
    """What is looked at. `zone` "" is the tenant's own; `sort` "" is by the measure, the largest first."""

    by: str = "model"
    then: str = ""
    choice: Choice = Choice.MONTH_TO_DATE
    first: date | None = None
    last: date | None = None
    zone: str = ""
    each: Each = Each.DAY
    measure: str = "charge"
    compare: bool = False
    drawn: Drawn = Drawn.BARS
    sort: str = ""
    ascending: bool = False
    page: int = 1
    only: Narrowed = field(default_factory=dict)
    without: Narrowed = field(default_factory=dict)

    @property
    def by_all(self) -> list[str]:
        """The dimensions that groups are made of."""
        return [name for name in (self.by, self.then) if name]

    @property
    def narrowed(self) -> bool:
        return bool(self.only or self.without)

    def today(self, now: datetime, own_zone: str) -> date:
        """The day it is in the view's zone."""
        return now.astimezone(ZoneInfo(self.zone or own_zone)).date()

    def period(self, today: date) -> Period:
        """The view's days."""
        return period_of(self.choice, today, first=self.first, last=self.last)

    def slice_of(self, period: Period, keys: Any = None) -> Slice:
        """What is asked for."""
        return Slice(period.first, period.last, zone=self.zone, only=self.only, without=self.without, keys=keys)

    def pairs(self) -> Pairs:
        """The view as parameters of an address, without its page. What is as usual is left out, but for two that say
        that it is a view.
        """
        usual = View()
        said = [
            ("by", self.by),
            ("then", self.then),
            ("period", self.choice.value),
            ("first", self.first.isoformat() if self.first else ""),
            ("last", self.last.isoformat() if self.last else ""),
            ("zone", self.zone),
            ("each", self.each.value if self.each is not usual.each else ""),
            ("measure", self.measure if self.measure != usual.measure else ""),
            ("compare", PREVIOUS if self.compare else ""),
            ("chart", self.drawn.value if self.drawn is not usual.drawn else ""),
            ("sort", self.sort),
            ("order", "asc" if self.ascending else ""),
        ]
        return [
            *((name, value) for name, value in said if value or name == "by"),
            *pairs_of(self.only, self.without),
        ]

    def query(self, **changed: Any) -> str:
        """The address's query, with some fields changed. Whatever changes leads to the first page."""
        page = changed.pop("page", 1)
        pairs = replace(self, **changed).pairs()
        return query_string([*pairs, ("page", str(page))] if page > 1 else pairs)

    def narrowed_to(self, name: str, value: str) -> View:
        """The same, of one value of a dimension only."""
        return replace(self, only={**self.only, name: (value,)})

    def lifted(self, name: str, value: str, *, left_out: bool) -> View:
        """The same without one value of a filter."""
        chosen = dict(self.without if left_out else self.only)
        rest = tuple(each for each in chosen.pop(name, ()) if each != value)
        chosen |= {name: rest} if rest else {}
        return replace(self, without=chosen) if left_out else replace(self, only=chosen)

    def with_filter(self, name: str, value: str, *, left_out: bool) -> View:
        """The same with one more value of a filter."""
        chosen = dict(self.without if left_out else self.only)
        chosen[name] = tuple(dict.fromkeys([*chosen.get(name, ()), value]))
        return replace(self, without=chosen) if left_out else replace(self, only=chosen)


def read(query: Query, today_in: Callable[[str], date]) -> tuple[View, list[Problem]]:
    """The view that an address means, and what of it could not be taken (then the usual stands in its place).

    `today_in` says which day it is in a zone, "" for the tenant's own.
    """
    reading = _Reading(query)
    zone = reading.one("zone", "", _zone)
    try:
        only, without = filters_of(query)
    except FilterError as error:
        only, without = {}, {}
        reading.problems.append(Problem(error.name, str(error)))
    usual = View()
    view = View(
        by=reading.one("by", usual.by, _dimension, empty=True),
        then=reading.one("then", "", _dimension),
        choice=reading.one("period", usual.choice, Choice),
        zone=zone,
        each=reading.one("each", usual.each, Each),
        measure=reading.one("measure", usual.measure, _measure),
        compare=reading.one("compare", "", _compare) == PREVIOUS,
        drawn=reading.one("chart", usual.drawn, Drawn),
        sort=reading.one("sort", "", _sort),
        ascending=reading.one("order", "desc", _order) == "asc",
        page=reading.one("page", 1, _page),
        only=only,
        without=without,
    )
    if not view.by or view.then == view.by:
        view = replace(view, then="")
    if view.choice is Choice.CUSTOM:
        days = {name: reading.one(name, None, day_of) for name in ("first", "last")}
        view = replace(view, **days)
    return _fitting(view, today_in(zone), reading.problems), reading.problems


def unknown_parameters(query: Query) -> list[str]:
    """The parameters that mean nothing here."""
    return sorted(name for name in query if name not in PARAMETERS and not is_filter(name))


def _fitting(view: View, today: date, problems: list[Problem]) -> View:
    """The same with days that make a period, and hours only where they are not too many."""
    try:
        period = view.period(today)
    except PeriodError as error:
        problems.append(Problem("first", str(error)))
        view = replace(view, choice=Choice.MONTH_TO_DATE, first=None, last=None)
        period = view.period(today)
    days = (period.last - period.first).days + 1
    if view.each is Each.HOUR and days * HOURS_A_DAY_MOST > HOURS_MOST:
        problems.append(Problem("each", f"{days} days have too many hours: choose 40 days at most, or look by day."))
        view = replace(view, each=Each.DAY)
    return view


class _Reading:
    """An address's parameters, read one by one; what cannot be taken is noted."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self.problems: list[Problem] = []

    def one(self, name: str, usual: Any, take: Callable[[str], Any], *, empty: bool = False) -> Any:
        """A parameter's value; the last, when it is given more than once. `empty` says that "" is one, too."""
        given = self._query.getlist(name)
        if not given or (not given[-1] and not empty):
            return usual
        try:
            return take(given[-1]) if given[-1] else ""
        except ValueError as error:
            said = str(error)
            words = {"period": "a period", "each": "day or hour", "chart": "bars, lines or table"}
            known = said if said.endswith(".") else f"This is not {words.get(name, 'a day such as 2026-11-21')}."
            self.problems.append(Problem(name, known))
            return usual


def _dimension(text: str) -> str:
    return dimension(text).name


def _zone(text: str) -> str:
    if text not in available_timezones():
        raise ValueError("There is no such time zone: write one such as Asia/Kolkata.")
    return text


def _measure(text: str) -> str:
    if text not in MEASURES:
        raise ValueError(f"This is no measure: choose one of {', '.join(MEASURES)}.")
    return text


def _compare(text: str) -> str:
    if text != PREVIOUS:
        raise ValueError("Spend is compared with the previous days: write previous.")
    return text


SORTS = ("name", "before", "change", "change_share", "share", *MEASURES)


def _sort(text: str) -> str:
    if text not in SORTS:
        raise ValueError(f"The table cannot be sorted by this: choose one of {', '.join(SORTS)}.")
    return text


def _order(text: str) -> str:
    if text not in ("asc", "desc"):
        raise ValueError("An order is asc or desc.")
    return text


def _page(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= PAGES_MOST:
        raise ValueError("A page is a number from 1 on.")
    return int(text)
