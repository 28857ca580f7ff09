"""What can be looked at: sums as they are stored, and what is made of them. Pure; money is exact and never a float."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from spend.queries.slices import Cell
from wire import display

Value = Decimal | int | None
ZERO = Decimal(0)
_MILLION = 10**6
_NOTHING = (0, 0, 0, 0, 0, 0, ZERO, ZERO, 0, 0)


class Kind(StrEnum):
    """How values read."""

    MONEY = "money"  # USD
    COUNT = "count"
    SHARE = "share"  # 1 is all
    TIME = "time"  # milliseconds


class Measure(NamedTuple):
    """One measure. What `adds` can be stacked: its parts come to the whole."""

    name: str
    label: str
    kind: Kind
    of: Callable[[Cell], Value]
    adds: bool = True


def _charge(cell: Cell) -> Value:
    return None if _all_unpriced(cell) and not cell.charge else cell.charge


def _cost(cell: Cell) -> Value:
    return None if _all_unpriced(cell) and not cell.cost else cell.cost


def _all_unpriced(cell: Cell) -> bool:
    """Unpriced is not free: a group without any price has no amount."""
    return bool(cell.requests) and cell.unpriced_requests == cell.requests


def tokens_of(cell: Cell) -> int:
    """All tokens, in and out."""
    return cell.input_tokens + cell.output_tokens


def _per_request(cell: Cell) -> Value:
    priced = cell.requests - cell.unpriced_requests
    return cell.charge / priced if priced else None


def _per_million(cell: Cell) -> Value:
    """Of all tokens, those of unpriced requests included, as on the spend page."""
    if not tokens_of(cell) or (_all_unpriced(cell) and not cell.charge):
        return None
    return cell.charge * _MILLION / tokens_of(cell)


def _error_rate(cell: Cell) -> Value:
    return Decimal(cell.errors) / cell.requests if cell.requests else None


def _cached_share(cell: Cell) -> Value:
    return Decimal(cell.cached_tokens) / cell.input_tokens if cell.input_tokens else None


def _duration(cell: Cell) -> Value:
    return cell.duration_ms // cell.requests if cell.requests else None


MEASURES = {
    each.name: each
    for each in (
        Measure("charge", "Spend", Kind.MONEY, _charge),
        Measure("cost", "Cost at the provider", Kind.MONEY, _cost),
        Measure("requests", "Requests", Kind.COUNT, lambda cell: cell.requests),
        Measure("tokens", "Tokens", Kind.COUNT, tokens_of),
        Measure("input_tokens", "Input tokens", Kind.COUNT, lambda cell: cell.input_tokens),
        Measure("output_tokens", "Output tokens", Kind.COUNT, lambda cell: cell.output_tokens),
        Measure("cached_tokens", "Cached input tokens", Kind.COUNT, lambda cell: cell.cached_tokens),
        Measure("cached_share", "Cached share of input", Kind.SHARE, _cached_share, adds=False),
        Measure("per_million", "Per 1M tokens", Kind.MONEY, _per_million, adds=False),
        Measure("per_request", "Per request", Kind.MONEY, _per_request, adds=False),
        Measure("errors", "Errors", Kind.COUNT, lambda cell: cell.errors),
        Measure("error_rate", "Error rate", Kind.SHARE, _error_rate, adds=False),
        Measure("unpriced_requests", "Unpriced requests", Kind.COUNT, lambda cell: cell.unpriced_requests),
        Measure("duration", "Mean duration", Kind.TIME, _duration, adds=False),
    )
}


def together(cells: Iterable[Cell], begin: date | datetime, groups: tuple[str, ...] = ()) -> Cell:
    """What cells come to, as the cell of a bucket and a group; all zero without any."""
    sums = [sum(column) for column in zip(*(cell[2:] for cell in cells), strict=True)] or _NOTHING
    return Cell(begin, groups, *sums)


def words_of(kind: Kind, value: Value) -> str:
    """A value for reading; a dash where there is none."""
    if value is None:
        return "–"
    if kind is Kind.MONEY:
        return display.usd(Decimal(value))
    if kind is Kind.SHARE:
        return display.percent(Decimal(value))
    return display.duration(int(value)) if kind is Kind.TIME else display.count(int(value))


def exact_words(kind: Kind, value: Value) -> str:
    """A value with every stored digit."""
    return display.usd_exact(Decimal(value)) if kind is Kind.MONEY and value is not None else words_of(kind, value)


def plain(value: Value) -> str | None:
    """A value for a program or a chart: digits with a point, never an exponent; None where there is none."""
    return None if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)
