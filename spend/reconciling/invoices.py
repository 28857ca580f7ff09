"""Providers' cost exports as lines of a day and model; and their usage reports, for the tokens behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

from spend.importing.adapters import ADAPTERS, anthropic_costs, openai_costs
from spend.importing.adapters.base import bucket_rows, one_row
from spend.importing.reading import FileError, form_of, records
from spend.importing.rows import Bad, Place, Record, RowError, moment_ms, pico, text, utc_day, whole

PAGE_MOST = 20 * 2**20
_CREDIT = "credit"
_MODEL_LONGEST = 400


class Line(NamedTuple):
    """A line of an invoice. `amount` in pico-USD; `tokens` None where it does not say them."""

    day: date
    model: str
    amount: int
    credit: bool
    tokens: int | None = None


class Kind(NamedTuple):
    """A kind of invoice. `provider` is "" where the file's columns or the person must say it."""

    name: str
    label: str
    provider: str
    lines: Callable[[Record], Iterator[tuple[Place, Line | Bad]]]


class Read(NamedTuple):
    """What a file says. `faults` are lines that could not be read."""

    lines: list[Line]
    faults: list[tuple[Place, str]]


def read_invoice(pieces: Iterable[bytes], kind: Kind) -> Read:
    """All lines of an invoice. Raises FileError for a file that cannot be read, or says nothing."""
    found = Read([], [])
    for place, line in _walk(pieces, kind.lines):
        if isinstance(line, Bad):
            found.faults.append((place, line.why))
        else:
            found.lines.append(line)
    if not found.lines:
        first = f" The first fault, in line {found.faults[0][0].line}: {found.faults[0][1]}" if found.faults else ""
        raise FileError(f"There is no line in the file that can be read.{first}")
    return found


def read_tokens(pieces: Iterable[bytes], kind: str) -> dict[tuple[date, str], int]:
    """The tokens of a provider's usage report by UTC day and model. Raises FileError."""
    found: dict[tuple[date, str], int] = {}
    for place, row in _walk(pieces, ADAPTERS[kind].rows):
        if isinstance(row, Bad):
            raise FileError(f"The usage report cannot be read, line {place.line}: {row.why}")
        key = (utc_day(row.ts), row.model)
        found[key] = found.get(key, 0) + sum(row.units.values())
    if not found:
        raise FileError("The usage report has no usage.")
    return found


def _walk(
    pieces: Iterable[bytes], rows: Callable[[Record], Iterator[tuple[Place, Any]]]
) -> Iterator[tuple[Place, Any]]:
    body = b"".join(pieces)
    for each in records([body], form=form_of(body)):
        if isinstance(each, Record):
            yield from rows(each)
        else:
            yield Place(each[0]), each[1]


def _openai(record: Record) -> Iterator[tuple[Place, Line | Bad]]:
    def line(bucket: Mapping[str, Any], result: Mapping[str, Any]) -> Line:
        item = text(result.get("line_item"))
        amount = _usd(*openai_costs.amount_of(result))
        return _line(moment_ms(bucket.get("start_time"), "start_time"), openai_costs.model_of(item), amount, item)

    return bucket_rows(record, line)


def _anthropic(record: Record) -> Iterator[tuple[Place, Line | Bad]]:
    def line(bucket: Mapping[str, Any], result: Mapping[str, Any]) -> Line:
        amount = _usd(*anthropic_costs.amount_of(result))
        what = f"{text(result.get('cost_type'))} {text(result.get('description'))}"
        return _line(moment_ms(bucket.get("starting_at"), "starting_at"), text(result.get("model")), amount, what)

    return bucket_rows(record, line)


def _anthropic_csv(record: Record) -> Iterator[tuple[Place, Line | Bad]]:
    def line(values: Mapping[str, Any]) -> Line:
        amount = pico(values.get("cost_usd"), "cost_usd")
        if amount is None:
            raise RowError("cost_usd is missing.")
        model = anthropic_costs.model_of(text(values.get("model")))
        return _line(
            moment_ms(values.get("usage_date_utc"), "usage_date_utc"), model, amount, text(values.get("cost_type"))
        )

    return one_row(record, line)


def _plain(record: Record) -> Iterator[tuple[Place, Line | Bad]]:
    """`day`, `model`, `amount`; `currency`, `credit` (yes or no) and `tokens` may be there as well."""

    def line(values: Mapping[str, Any]) -> Line:
        amount = pico(values.get("amount"), "amount")
        if amount is None:
            raise RowError("amount is missing.")
        amount = _usd(amount, text(values.get("currency")).upper() or "USD")
        tokens = whole(values, "tokens") if values.get("tokens") not in (None, "") else None
        said = _CREDIT if text(values.get(_CREDIT)).lower() in ("yes", "true", "1") else ""
        found = _line(moment_ms(values.get("day"), "day"), text(values.get("model")), amount, said)
        return found._replace(tokens=None if found.credit else tokens)

    return one_row(record, line)


def _line(ms: int, model: str, amount: int, what: str) -> Line:
    if len(model) > _MODEL_LONGEST:
        raise RowError(f"Its model is longer than {_MODEL_LONGEST} characters.")
    return Line(utc_day(ms), model, amount, amount < 0 or _CREDIT in what.lower().split())


def _usd(amount: int, currency: str) -> int:
    if currency != "USD":
        raise RowError(f"It is in {currency[:10]}: only amounts in USD can be compared.")
    return amount


KINDS = {
    kind.name: kind
    for kind in (
        Kind("openai_costs", "OpenAI: costs API (JSON)", "openai", _openai),
        Kind("anthropic_costs", "Anthropic: cost report of the Admin API (JSON)", "anthropic", _anthropic),
        Kind("anthropic_costs_csv", "Anthropic: cost export of the Console (CSV)", "anthropic", _anthropic_csv),
        Kind("invoice", "Any provider: day, model, amount (CSV)", "", _plain),
    )
}
USAGE_KINDS = ("openai_usage", "openai_usage_csv", "anthropic_usage", "anthropic_usage_csv")
