"""How a limit is spread over days: as the tenant's weekdays were, so that a quiet weekend is no saving. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

HISTORY_DAYS = 56  # eight of each weekday


def paced(limit: Decimal, days: Sequence[date], history: Mapping[date, Decimal]) -> list[Decimal]:
    """What each of the days may cost so that together they come to the limit exactly.

    Weighed by what the same weekday cost in `history` (charge by day); all alike when that says nothing.
    """
    sums: dict[int, Decimal] = defaultdict(Decimal)
    counts: dict[int, int] = defaultdict(int)
    for day, charge in history.items():
        sums[day.weekday()] += max(charge, Decimal(0))
        counts[day.weekday()] += 1
    weights = [sums[day.weekday()] / counts[day.weekday()] if counts[day.weekday()] else Decimal(0) for day in days]
    whole = sum(weights, Decimal(0))
    if not whole:
        weights, whole = [Decimal(1)] * len(days), Decimal(len(days))
    cents = Decimal("0.01")
    spread = [(limit * weight / whole).quantize(cents) for weight in weights]
    if spread:
        spread[-1] += limit - sum(spread, Decimal(0))
    return spread
