"""Prices as people write them: in forms, in the API, and in tables (CSV or JSON) of which every line is checked."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from tenants.errors import Fault, ManyRefusedError
from wire.money import MoneyError, pico_per_unit
from wire.prices import Clause
from wire.units import UNITS, Measure

COLUMNS = ("provider", "model", "unit", "price", "per", "from", "until", "match", "source_url", "note")
LINES_MOST, BYTES_MOST = 100_000, 50 * 2**20
MATCHES = ("", "exact", "prefix")

_AMOUNT = re.compile(r"\d{1,15}(?:\.\d{1,30})?|\.\d{1,30}", re.ASCII)
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_LARGE = {"million": 10**6, "thousand": 1000, "unit": 1, "hour": 3600, "": 0}
_SMALL_UNITS = (Measure.TOKEN, Measure.CHARACTER, Measure.PIXEL)
# Beyond these nobody sells: a price typed for one token instead of a million lands there.
_ABSURD_SMALL, _ABSURD = 10**10, 10**15  # pico-USD: $0.01 a token, $1,000 an image


class Entry(NamedTuple):
    """Prices of one model for a span of days. `line` is where they stood first."""

    line: int
    provider: str
    model: str
    clause: Clause | None  # None: found by the rules that are there, or exactly by its name
    prices: dict[str, int]  # unit -> pico-USD per unit
    starts: date
    ends: date | None = None
    source_url: str = ""
    note: str = ""


def price_from_text(unit: str, text: str, per: str | int = "") -> int:
    """USD as typed for `per` units ("million", "unit" …; by default a million tokens, or one of anything else), in
    pico-USD per unit.

    Raises ValueError for an unknown unit, and for what is no price: negative, not a number, absurd, or finer than a
    pico-USD per unit.
    """
    known = UNITS.get(unit)
    if known is None:
        raise ValueError(f"{unit[:40]!r} is not a unit: write one such as {', '.join(list(UNITS)[:5])}.")
    count = _per(per) or (10**6 if known.measure in _SMALL_UNITS else 1)
    amount = text.strip().removeprefix("$").strip()
    if amount.startswith(("-", "−")):
        raise ValueError("A price cannot be negative.")
    if not _AMOUNT.fullmatch(amount):
        raise ValueError(f"{text[:40]!r} is not a price: write USD like 0.15.")
    try:
        pico, rounded = pico_per_unit(Decimal(amount), count)
    except MoneyError as error:
        raise ValueError(str(error)) from error
    if rounded:
        raise ValueError(
            f"{text[:40]} USD for {count:,} is finer than a pico-USD per {known.measure}: write fewer digits."
        )
    if pico > (_ABSURD_SMALL if known.measure in _SMALL_UNITS else _ABSURD):
        raise ValueError(
            f"{amount} USD for {count:,} {known.label} is beyond any price: look at the amount, and at what it is for."
        )
    return pico


def clause_of(match: str, name: str) -> Clause | None:
    """A match clause from its kind and a name. Raises ValueError for another kind."""
    if match not in MATCHES:
        raise ValueError(f"{match[:40]!r} is not a way to match names: write exact, prefix, or leave it out.")
    if not match:
        return None
    return {"equals" if match == "exact" else "starts_with": name.lower()}


class Table(NamedTuple):
    """What the lines of a table say, the units of one model and day together, and what is wrong with the others."""

    entries: list[Entry]
    faults: list[Fault]


def read_table(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> Table:
    """Lines of a table, as far as each can be read for itself."""
    faults: list[Fault] = []
    found: dict[tuple[str, str, date], Entry] = {}
    for line, row in rows:
        try:
            entry = _entry(line, row)
            held = found.get(key := (entry.provider, entry.model, entry.starts))
            if held is not None:
                entry = _joined(held, entry)
        except _FieldError as error:
            faults.append(Fault(line, error.field, str(error)))
        else:
            found[key] = entry
    return Table(list(found.values()), faults)


def entries_from_rows(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> list[Entry]:
    """The entries of a table. Raises ManyRefusedError that names every line which cannot be taken, and why."""
    table = read_table(rows)
    if table.faults:
        raise ManyRefusedError(table.faults)
    return table.entries


def rows_of_file(content: bytes) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The lines of a table: JSON (a list of objects) or CSV with a header. Lines count from 1, a header included.

    Raises ManyRefusedError when it is neither.
    """
    if len(content) > BYTES_MOST:
        raise ManyRefusedError([Fault(1, "", f"The file is larger than {BYTES_MOST // 2**20} MiB.")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ManyRefusedError([Fault(line, "", "This is not UTF-8: save the file as UTF-8.")]) from error
    rows = list(_json_rows(text) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text))
    if not rows:
        raise ManyRefusedError([Fault(1, "", "There are no prices in this file.")])
    if len(rows) > LINES_MOST:
        raise ManyRefusedError([Fault(LINES_MOST, "", f"A file may have {LINES_MOST:,} lines at most.")])
    yield from rows


class _FieldError(ValueError):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        listed = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise ManyRefusedError([Fault(line, "", f"This is not JSON: {error}.")]) from error
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise ManyRefusedError([Fault(1, "", "Write a list of objects, each with provider, model, unit and price.")])
    yield from enumerate(listed, start=1)


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = {"provider", "model", "unit", "price"} - set(reader.fieldnames or ())
        if missing:
            raise ManyRefusedError([Fault(1, "", f"The header lacks {', '.join(sorted(missing))}.")])
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise ManyRefusedError([Fault(reader.line_num, "", f"This is not CSV: {error}.")]) from error


def _entry(line: int, row: Mapping[str, Any]) -> Entry:
    unknown = [name for name in row if name not in COLUMNS]
    if unknown:
        what = f"{str(unknown[0])[:40]!r} is not a column" if unknown[0] else "There are more values than columns"
        raise _FieldError("", f"{what}: use {', '.join(COLUMNS)}.")
    text = {name: _text(name, row.get(name)) for name in COLUMNS}
    _check_names(text["provider"], text["model"])
    try:
        unit_price = price_from_text(text["unit"], text["price"], text["per"])
    except ValueError as error:
        raise _FieldError("unit" if text["unit"] not in UNITS else "price", str(error)) from error
    try:
        clause = clause_of(text["match"], text["model"])
    except ValueError as error:
        raise _FieldError("match", str(error)) from error
    starts = _day("from", text["from"]) or date(2000, 1, 1)
    ends = _day("until", text["until"])
    check_span(starts, ends)
    return Entry(
        line,
        text["provider"],
        text["model"],
        clause,
        {text["unit"]: unit_price},
        starts,
        ends,
        text["source_url"],
        text["note"],
    )


def check_span(starts: date, ends: date | None) -> None:
    """Raises a ValueError for a span without a day, or one before all prices."""
    if starts.year < 2000 or starts.year > 2100:
        raise _FieldError("from", "Prices begin between 2000 and 2100.")
    if ends is not None and ends <= starts:
        raise _FieldError("until", "The end must lie after the beginning: it is the first day without these prices.")


def check_names(provider: str, model: str) -> None:
    """Raises a ValueError for what cannot be a provider or a model."""
    _check_names(provider, model)


def _check_names(provider: str, model: str) -> None:
    if not _PROVIDER.fullmatch(provider):
        raise _FieldError(
            "provider", f"{provider[:40]!r} is not a provider: write small letters, digits, dots, dashes, up to 64."
        )
    if not model or len(model) > 255 or not model.isprintable() or model != model.strip():
        raise _FieldError("model", "A model needs a name of 1 to 255 characters.")


def _joined(held: Entry, entry: Entry) -> Entry:
    (unit,) = entry.prices
    if unit in held.prices:
        raise _FieldError("unit", f"{unit} of {entry.model} is priced in line {held.line} already, for the same days.")
    if (held.ends, held.clause) != (entry.ends, entry.clause):
        raise _FieldError("until", f"Other days or another match than in line {held.line}: give a model the same.")
    return held._replace(
        prices={**held.prices, **entry.prices},
        source_url=held.source_url or entry.source_url,
        note=held.note or entry.note,
    )


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _FieldError(name, "Write a text or a number.")
    if len(value) > 500:
        raise _FieldError(name, "This is longer than 500 characters.")
    return value.strip()


def _day(field: str, text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise _FieldError(field, f"{text[:40]!r} is not a day: write it like 2026-11-30.") from error


def _per(per: str | int) -> int:
    if isinstance(per, str):
        if per in _LARGE:
            return _LARGE[per]
        if not re.fullmatch(r"\d{1,10}", per, re.ASCII):
            raise ValueError(f"{per[:40]!r} is not a number of units: write million, thousand, unit, or a number.")
        per = int(per)
    if not 1 <= per <= 10**10:
        raise ValueError("A price is for 1 unit or more.")
    return per
