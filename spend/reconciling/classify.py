"""What a difference between a provider's amount and ours is. Pure; all amounts in pico-USD.

Each day and model has a difference (theirs less ours), which is divided into parts whose sum is the difference:

* credit: what the provider gives back: negative lines, and those that it calls credits;
* rounding: no more than the tolerance;
* late: the day before or after differs by the opposite, so that both together agree; or one of the newest days,
  while all earlier days of the model agree;
* bypassed us: the provider counted tokens that we did not (or we saw nothing at all of the model that day);
* mispriced: the tokens are the same, the amounts are not; of a day that is bypassed in part, what is left;
* unexplained: the rest.

Where the provider's tokens are not known, amounts that differ by the same factor on every day are mispriced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Any

NEWEST_DAYS = 2  # the last days of an invoice, of which calls and prices may still be on their way
_FACTOR_WITHIN = Fraction(1, 1000)
_TOKENS_WITHIN = Fraction(1, 1000)


class Why(StrEnum):
    """The classes of differences."""

    BYPASSED = "bypassed"
    MISPRICED = "mispriced"
    LATE = "late"
    CREDIT = "credit"
    ROUNDING = "rounding"
    UNEXPLAINED = "unexplained"


LABELS = {
    Why.BYPASSED: "Bypassed us",
    Why.MISPRICED: "Mispriced",
    Why.LATE: "Late",
    Why.CREDIT: "Credit",
    Why.ROUNDING: "Rounding",
    Why.UNEXPLAINED: "Unexplained",
}


@dataclass
class Row:
    """A UTC day and model on both sides."""

    day: date
    model: str
    theirs: int = 0  # without credits
    credit: int = 0
    ours: int = 0
    their_tokens: int | None = None
    our_tokens: int = 0
    our_requests: int = 0
    price_version: int = 0
    parts: dict[Why, int] = field(default_factory=dict)

    @property
    def difference(self) -> int:
        return self.theirs + self.credit - self.ours

    def stored(self) -> dict[str, Any]:
        """As JSON: amounts may need more than 64 bits."""
        return {
            "day": self.day.isoformat(),
            "model": self.model,
            "theirs": str(self.theirs + self.credit),
            "ours": str(self.ours),
            "difference": str(self.difference),
            "their_tokens": self.their_tokens,
            "our_tokens": self.our_tokens,
            "our_requests": self.our_requests,
            "price_version": self.price_version,
            "parts": {why.value: str(amount) for why, amount in self.parts.items()},
        }


def classify(rows: Iterable[Row], *, tolerance: int) -> list[Row]:
    """Fill in the parts of all rows, which are returned by day and model."""
    found = sorted(rows, key=lambda row: (row.day, row.model))
    left: dict[int, int] = {}
    for place, row in enumerate(found):
        row.parts = {Why.CREDIT: row.credit} if row.credit else {}
        left[place] = row.theirs - row.ours
        if left[place] and abs(left[place]) <= tolerance:
            _settle(row, left, place, Why.ROUNDING)
    by_model: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(found):
        by_model[row.model].append(place)
    newest = max((row.day for row in found), default=date.max) - timedelta(days=NEWEST_DAYS - 1)
    for places in by_model.values():
        _evened_out(found, places, left, tolerance)
        _newest(found, places, left, newest)
        factor = _one_factor(found, places, left)
        for place in places:
            _explain(found[place], left, place, factor=factor, tolerance=tolerance)
    return found


def totals(rows: Sequence[Row]) -> dict[str, int]:
    """Both sides, the difference and each class; the classes come to the difference exactly."""
    found = {
        "theirs": sum(row.theirs + row.credit for row in rows),
        "ours": sum(row.ours for row in rows),
        "difference": sum(row.difference for row in rows),
    }
    return found | {why.value: sum(row.parts.get(why, 0) for row in rows) for why in Why}


def _settle(row: Row, left: dict[int, int], place: int, why: Why, amount: int | None = None) -> None:
    """Put what is left of a row, or a part of it, into a class."""
    moved = left[place] if amount is None else amount
    if moved:
        row.parts[why] = row.parts.get(why, 0) + moved
        left[place] -= moved


def _evened_out(rows: Sequence[Row], places: Sequence[int], left: dict[int, int], tolerance: int) -> None:
    """Adjacent days that differ by opposites: calls at midnight, which each side counts to another day."""
    for one, other in pairwise(places):
        first, second = rows[one], rows[other]
        opposite = left[one] * left[other] < 0 and abs(left[one] + left[other]) <= tolerance
        if second.day - first.day == timedelta(days=1) and opposite:
            _settle(first, left, one, Why.LATE)
            _settle(second, left, other, Why.LATE)


def _newest(rows: Sequence[Row], places: Sequence[int], left: dict[int, int], newest: date) -> None:
    """Newest days of a model whose earlier days all agree, of which there must be some."""
    earlier = [place for place in places if rows[place].day < newest]
    if earlier and not any(left[place] for place in earlier):
        for place in places:
            if left[place] and rows[place].day >= newest and rows[place].ours and rows[place].theirs:
                _settle(rows[place], left, place, Why.LATE)


def _one_factor(rows: Sequence[Row], places: Sequence[int], left: Mapping[int, int]) -> bool:
    """Whether all days of a model that differ do so by the same factor, two of them at least."""
    factors = [
        Fraction(rows[place].theirs, rows[place].ours) for place in places if left[place] and rows[place].ours > 0
    ]
    if len(factors) < 2 or not all(factors):
        return False
    return max(factors) - min(factors) <= _FACTOR_WITHIN * max(factors)


def _explain(row: Row, left: dict[int, int], place: int, *, factor: bool, tolerance: int) -> None:
    if not left[place]:
        return
    theirs, ours = row.their_tokens, row.our_tokens
    if not row.ours and not ours and row.theirs > 0:
        _settle(row, left, place, Why.BYPASSED)
    elif theirs is not None and _alike(theirs, ours):
        _settle(row, left, place, Why.MISPRICED)
    elif theirs is not None and theirs > ours:
        share = row.theirs * (theirs - ours) // theirs
        if left[place] > 0:
            _settle(row, left, place, Why.BYPASSED, min(share, left[place]))
        if left[place]:
            _settle(row, left, place, Why.ROUNDING if abs(left[place]) <= tolerance else Why.MISPRICED)
    elif theirs is None and factor:
        _settle(row, left, place, Why.MISPRICED)
    _settle(row, left, place, Why.UNEXPLAINED)


def _alike(one: int, other: int) -> bool:
    return one > 0 and abs(one - other) <= _TOKENS_WITHIN * one
