"""Columns of exports: what is in them decides how each format writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple, Protocol


class Type(StrEnum):
    """What a column holds. None is allowed in each: nothing is known, which is not zero."""

    TEXT = "text"
    WHOLE = "whole number"
    EXACT = "exact decimal, 12 places"  # money, in USD, and quantities: never a float
    DAY = "day"
    MOMENT = "moment, UTC"
    YES_NO = "yes or no"


class Column(NamedTuple):
    """A column: its name, what it holds, and what that means. Of `summed` ones the file says the sum."""

    name: str
    type: Type = Type.TEXT
    note: str = ""
    summed: bool = False


Row = Sequence[Any]


class Content(Protocol):
    """What an export holds, a block of rows of one day at a time."""

    columns: Sequence[Column]

    def total(self) -> int | None:
        """How many rows there will be, where that is known beforehand."""
        ...

    def blocks(self) -> Iterator[tuple[date, Sequence[Row]]]:
        """The rows in their order, each block with the day that it is of."""
        ...

    def amiss(self, rows: int, sums: dict[str, Any]) -> str:
        """How rows that were written, and the sums of their summed columns, differ from what the pages' own question
        says now; "" when they agree."""
        ...
