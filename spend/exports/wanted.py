"""What an export holds, and its canonical query: the same slice as a page shows, with the days spelt out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from urllib.parse import parse_qsl
from zoneinfo import available_timezones

from spend.exploring.filters import FilterError, filters_of, is_filter, pairs_of, query_string
from spend.models import Export
from spend.periods import MOST_DAYS
from spend.queries.dimensions import dimension, label_of
from spend.queries.slices import Each, Slice
from tenants.errors import InvalidSettingError
from wire.display import days

Kind, Format = Export.Kind, Export.Format
FOCUS = (Kind.FOCUS_1_2, Kind.FOCUS_1_4)
EACH = {Each.WHOLE: "The whole period", Each.DAY: "Each day", Each.HOUR: "Each hour"}
BY_MOST = 6
_OF_KIND = {Kind.USAGE: ("called", "search"), Kind.DENIALS: ("reason",)}
_OF_DENIALS = ("env", "project", "key")  # what denials can be narrowed by
_LABELS = {"called": "Model called", "search": "Search", "reason": "Reason"}


@dataclass(frozen=True)
class Wanted:
    """What an export holds.

    `by` and `each` are of spend alone: the dimensions and the buckets of time that it is summed up by. `exactly` are
    what lists are narrowed by beside dimensions: of usage `called` (a model, as priced or as asked) and `search` (an
    event's or a request's id), of denials the `reason`.
    """

    kind: Export.Kind
    slice: Slice
    by: tuple[str, ...] = ()
    each: Each = Each.DAY
    exactly: Mapping[str, str] = field(default_factory=dict)

    @property
    def query(self) -> str:
        """The canonical query: the same text for the same thing."""
        of = self.slice
        said = [("first", of.first.isoformat()), ("last", of.last.isoformat()), ("zone", of.zone)]
        if self.kind is Kind.SPEND:
            said += [("each", self.each.value), *(("by", name) for name in self.by)]
        return query_string([*said, *self.narrowing])

    @property
    def narrowing(self) -> list[tuple[str, str]]:
        """What it is narrowed by, as parameters of an address: those of the Explore page, and `exactly`."""
        of = self.slice
        return [*pairs_of(of.only, of.without), *sorted(self.exactly.items())]

    @property
    def filters(self) -> list[str]:
        """What it is narrowed by, with values as they are stored."""
        return self.filters_with(lambda _, value: value or "(none)")

    def filters_with(self, word: Callable[[str, str], str]) -> list[str]:
        """What it is narrowed by; `word` says what a dimension's value is called."""
        said = []
        for sign, chosen in (("", self.slice.only), ("not ", self.slice.without)):
            for name, values in sorted(chosen.items()):
                said.append(f"{label_of(name)}: {sign}{', '.join(word(name, value) for value in values)}")
        return [*said, *(f"{_LABELS[name]}: {value}" for name, value in sorted(self.exactly.items()))]

    def in_zone(self, own: str) -> Wanted:
        """The same with the time zone spelt out: `own` where the tenant's own is meant."""
        return self if self.slice.zone else replace(self, slice=replace(self.slice, zone=own))

    @property
    def title(self) -> str:
        """Such as "Spend by Model and API key, each day"."""
        if self.kind is not Kind.SPEND:
            return self.kind.label
        groups = " and ".join(label_of(name) for name in self.by)
        return f"Spend{f' by {groups}' if groups else ''}, {EACH[self.each].lower()}"

    @property
    def days(self) -> str:
        """Its days, as people read them."""
        return days(self.slice.first, self.slice.last)


class _Given(dict[str, list[str]]):
    """Parameters with their values, as `spend.exploring.filters` reads them."""

    def getlist(self, key: str) -> list[str]:
        return self.get(key, [])


def wanted_of(kind: str, query: str) -> Wanted:
    """Read a canonical query. Raises InvalidSettingError with what is wrong."""
    if kind not in Kind.values:
        raise InvalidSettingError(f"There is no such kind of export: choose one of {', '.join(Kind)}.", field="kind")
    return wanted_from(Kind(kind), parse_qsl(query, keep_blank_values=True))


def wanted_from(kind: Export.Kind, given: Iterable[tuple[str, str]]) -> Wanted:
    """The same from parameters. Raises InvalidSettingError."""
    left = _Given()
    for name, value in given:
        left.setdefault(name, []).append(value)
    first, last = _day(left, "first"), _day(left, "last")
    if last < first:
        raise InvalidSettingError("The last day lies before the first: swap them.", field="last")
    if (last - first).days >= MOST_DAYS:
        raise InvalidSettingError(f"That is more than {MOST_DAYS} days: choose fewer.", field="last")
    zone = _one(left, "zone")
    if zone and zone not in available_timezones():
        raise InvalidSettingError("There is no such time zone: write one like Asia/Kolkata.", field="zone")
    each, by = _buckets(left) if kind is Kind.SPEND else (Each.DAY, ())
    exactly = {name: value for name in _OF_KIND.get(kind, ()) if (value := _one(left, name))}
    only, without = _narrowed(kind, left)
    return Wanted(kind, Slice(first, last, zone=zone, only=only, without=without), by, each, exactly)


def checked_format(kind: str, text: str) -> Export.Format:
    """The format of this name. Raises InvalidSettingError for none, or one that the kind does not come in."""
    if text not in Format.values:
        raise InvalidSettingError(f"There is no such format: choose one of {', '.join(Format)}.", field="format")
    if kind in FOCUS and text == Format.XLSX:
        raise InvalidSettingError("FOCUS comes as CSV or Parquet: choose one of them.", field="format")
    return Format(text)


def _buckets(left: _Given) -> tuple[Each, tuple[str, ...]]:
    text = _one(left, "each") or Each.DAY.value
    if text not in list(Each):
        raise InvalidSettingError(f"Sums can be for each of: {', '.join(Each)}.", field="each")
    by = tuple(dict.fromkeys(left.pop("by", [])))
    if len(by) > BY_MOST:
        raise InvalidSettingError(f"Spend can be grouped by {BY_MOST} things at once: choose fewer.", field="by")
    for name in by:
        _known(name, "by")
    return Each(text), by


def _narrowed(kind: Export.Kind, left: _Given) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    for name in left:
        if not is_filter(name):
            raise InvalidSettingError(
                f"{name[:80]!r} means nothing for this kind of export: leave it out.", field="query"
            )
    try:
        only, without = filters_of(left)
    except FilterError as error:
        raise InvalidSettingError(str(error), field="query") from error
    if kind is Kind.DENIALS and (
        without or any(name not in _OF_DENIALS or len(values) > 1 or not values[0] for name, values in only.items())
    ):
        raise InvalidSettingError(
            f"Denials can be narrowed to one value each of {', '.join(_OF_DENIALS)} and reason, and by nothing else.",
            field="query",
        )
    return _sorted(only), _sorted(without)


def _sorted(chosen: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(sorted(values)) for name, values in chosen.items()}


def _known(name: str, at: str) -> None:
    try:
        dimension(name)
    except ValueError as error:
        raise InvalidSettingError(str(error).replace("grouped by", "grouped or narrowed by"), field=at) from error


def _one(left: _Given, name: str) -> str:
    values = left.pop(name, [""])
    if len(values) > 1:
        raise InvalidSettingError(f"Give {name} once.", field=name)
    return values[0]


def _day(left: _Given, name: str) -> date:
    try:
        return date.fromisoformat(_one(left, name))
    except ValueError as error:
        raise InvalidSettingError(f"Give the {name} day of the period, like 2026-11-01.", field=name) from error
