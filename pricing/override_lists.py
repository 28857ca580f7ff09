"""Lists of overrides: what a file of them may look like. Pure.

A list is CSV with a line of column names, a JSON array of objects, or JSON lines. Prices stand like
`input=0.15|output=0.60`, as price lists quote them; a day stands for its beginning in the tenant's time zone.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from io import StringIO
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pricing.override_rules import ANY, OverrideSettings, basis_points_from_text, prices_from_text
from tenants.errors import Fault, ManyRefusedError

LINES_MOST = 10_000
COLUMNS = ("name", "project", "provider", "model", "kind", "percent", "prices", "starts_at", "ends_at", "priority")
_NEEDED = {"name", "kind"}

_Row = Mapping[str, Any] | Fault  # what a line says by column, or why it says nothing


class ListedOverride(NamedTuple):
    """One line. `settings.project` is a project's id or its name; `faults` is what could not be read of it."""

    line: int
    settings: OverrideSettings
    faults: tuple[Fault, ...] = ()


def read_list(text: str, *, zone: ZoneInfo, now: datetime) -> list[ListedOverride]:
    """The overrides that a text lists; one without a start begins `now`.

    What is wrong with a line stands beside it, so that all can be told at once. Raises ManyRefusedError for a text that
    is no list.
    """
    given = text.removeprefix("\ufeff")
    begins = given.lstrip()[:1]
    rows = _json_array(given) if begins == "[" else _json_lines(given) if begins == "{" else _csv_rows(given)
    found: list[ListedOverride] = []
    for line, row in rows:
        if len(found) >= LINES_MOST:
            raise ManyRefusedError([Fault(line, "", f"The list is too long: it may have {LINES_MOST:,} at once.")])
        if isinstance(row, Fault):
            found.append(ListedOverride(line, OverrideSettings(name="", kind="", starts_at=now), (row,)))
        else:
            found.append(_Reading(line, row, zone).listed(now))
    if not found:
        raise ManyRefusedError([Fault(1, "", "There is no override in this list.")])
    return found


class _Reading:
    """One line being read; `faults` collects what is wrong with it."""

    def __init__(self, line: int, row: Mapping[str, Any], zone: ZoneInfo) -> None:
        self._line, self._row, self._zone = line, row, zone
        self.faults: list[Fault] = []

    def listed(self, now: datetime) -> ListedOverride:
        unknown = sorted(str(name) for name in self._row if name not in COLUMNS)
        if unknown:
            self._fault("", f"There is no column {unknown[0][:40]!r}: the columns are {', '.join(COLUMNS)}.")
        settings = OverrideSettings(
            name=self._text("name"),
            kind=self._text("kind"),
            starts_at=self._moment("starts_at") or now,
            ends_at=self._moment("ends_at"),
            provider=self._text("provider") or ANY,
            model=self._text("model") or ANY,
            project=self._text("project"),
            prices=self._prices(),
            basis_points=self._percent(),
            priority=self._priority(),
        )
        return ListedOverride(self._line, settings, tuple(self.faults))

    def _fault(self, field: str, message: str) -> None:
        self.faults.append(Fault(self._line, field, message))

    def _text(self, name: str) -> str:
        value = self._row.get(name)
        if value is None or isinstance(value, str):
            return (value or "").strip()
        self._fault(name, "Write a text.")
        return ""

    def _percent(self) -> int:
        text = self._text("percent")
        try:
            return basis_points_from_text(text) if text else 0
        except ValueError as error:
            self._fault("percent", str(error))
            return 0

    def _priority(self) -> int:
        text = self._text("priority")
        try:
            return int(text) if text else 0
        except ValueError:
            self._fault("priority", "Write a whole number, or leave it empty for 0.")
            return 0

    def _prices(self) -> dict[str, int]:
        value = self._row.get("prices")
        if isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
            typed = value
        else:
            typed = {}
            for part in filter(None, (part.strip() for part in self._text("prices").split("|"))):
                unit, equals, price = part.partition("=")
                if not equals or unit.strip() in typed:
                    self._fault("prices", "Write each price once, like input=0.15|output=0.60.")
                    return {}
                typed[unit.strip()] = price
        try:
            return prices_from_text(typed)
        except ValueError as error:
            self._fault("prices", str(error))
            return {}

    def _moment(self, name: str) -> datetime | None:
        text = self._text(name)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self._fault(name, "Write a day like 2026-12-01 or a moment like 2026-12-01T18:00+01:00.")
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=self._zone)


def _csv_rows(text: str) -> Iterator[tuple[int, _Row]]:
    first = text.lstrip().partition("\n")[0]
    reader = csv.reader(StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip().lower() for cell in cells]
                if not names or not set(names) >= _NEEDED or len(set(names)) < len(names):
                    said = "The first line names the columns, each once, at least name and kind."
                    raise ManyRefusedError([Fault(reader.line_num, "", said)])
                continue
            if len(cells) > len(names):
                said = f"It has {len(cells)} fields, and there are {len(names)} columns."
                yield reader.line_num, Fault(reader.line_num, "", said)
                continue
            yield reader.line_num, dict(zip(names, cells, strict=False))
    except csv.Error as error:
        raise ManyRefusedError([Fault(reader.line_num, "", "It cannot be read as CSV: look at its quotes.")]) from error


def _json_array(text: str) -> Iterable[tuple[int, _Row]]:
    """The objects of an array, counted from 1. Numbers stay the texts that they were written as."""
    listed = _json(text, line=1)
    if isinstance(listed, Fault):
        raise ManyRefusedError([listed])
    return ((number, _object(each, number)) for number, each in enumerate(listed, start=1))


def _json_lines(text: str) -> Iterator[tuple[int, _Row]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, _object(_json(line, line=number), number)


def _json(text: str, *, line: int) -> Any:
    """What a text says, or a Fault."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        where = line + getattr(error, "lineno", 1) - 1
        return Fault(where, "", "This is not JSON: write a list of objects, or one a line.")


def _object(given: Any, line: int) -> _Row:
    if isinstance(given, dict | Fault):
        return given
    return Fault(line, "", "It is no JSON object.")
