"""How days that are over compare with the days that they are held against. Pure."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spend.stack import Sum
from wire.display import days, percent, usd


class Comparison(NamedTuple):
    """A change for reading. `direction` is "up", "down" or "" when there is none to speak of."""

    direction: str
    change: str  # "17.2%", "new"
    before: str  # "$40,037.00 on 1–20 Oct 2026"


def compare(now: Sum, before: Sum, compared: tuple[date, date]) -> Comparison | None:
    """Hold closed days against others. None when neither spent anything."""
    against = f"{usd(before.charge)} on {days(*compared)}"
    if not before.charge:
        return Comparison("up", "new", against) if now.charge else None
    change: Decimal = (now.charge - before.charge) / before.charge
    if not change:
        return Comparison("", "unchanged", against)
    return Comparison("up" if change > 0 else "down", percent(abs(change)), against)
