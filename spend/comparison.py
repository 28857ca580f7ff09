"""How days that are over compare with the days that they are held against. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from spend.stack import Sum
from wire.display import days, percent, usd


class Comparison(NamedTuple):
    """A change for reading. `direction` is "up", "down" or "" when there is none to speak of."""

    direction: str
    change: str  # "17.2%", "new"
    before: str  # "$40,037.00 on 1–20 Oct 2026"


def compare(now: Sum, before: Sum, compared: tuple[date, date]) -> Comparison | None:
    """Hold closed days against others. None when neither spent anything."""
    return compare_amounts(now.charge, before.charge, usd, compared)


def compare_amounts(
    now: Decimal | int | None, before: Decimal | int | None, shown: Callable[[Any], str], compared: tuple[date, date]
) -> Comparison | None:
    """The same of any amount; `shown` writes one. None where there is nothing to hold against one another."""
    if now is None or before is None:
        return None
    against = f"{shown(before)} on {days(*compared)}"
    if not before:
        return Comparison("up", "new", against) if now else None
    change = Decimal(now - before) / Decimal(before)
    if not change:
        return Comparison("", "unchanged", against)
    return Comparison("up" if change > 0 else "down", percent(abs(change)), against)
