"""When a day's spend is an anomaly. Pure.

A project's model is held against its own days of the same weekday in the six weeks before: the median is what was to be
expected, and the median absolute deviation (MAD, times 1.4826 to be a standard deviation where errors are normal) says
how far such days lie from it. Both shrug off single odd days, which a mean does not. With fewer than four such days,
all days of the last four weeks are taken; with fewer than seven days since its first use, nothing is said of it: a
model that is new is no anomaly of itself.

A day is one when it lies above the median by more than five deviations, by more than half of it, and by an amount that
is worth a look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from statistics import median

WEEKS = 6
LOOK_BACK = timedelta(weeks=WEEKS)
ALL_DAYS = 28
SAME_WEEKDAYS_LEAST = 4
KNOWN_DAYS_LEAST = 7
DEVIATIONS = 5
OF_EXPECTED = Decimal("1.5")
LEAST_SHARE = Decimal("0.1")  # of the median: days that were all alike have no deviation of their own
_NORMAL = Decimal("1.4826")
_ZERO = Decimal(0)

Series = Mapping[date, Decimal]


@dataclass(frozen=True)
class Excess:
    """What a day cost, what was to be expected, and up to where it would not have been odd. USD."""

    charge: Decimal
    expected: Decimal
    bound: Decimal

    @property
    def amount(self) -> Decimal:
        """How much above expected."""
        return self.charge - self.expected

    @property
    def times(self) -> Decimal | None:
        """How many times the expected; None when nothing was expected."""
        return self.charge / self.expected if self.expected else None


def excess(series: Series, day: date, *, least: Decimal) -> Excess | None:
    """What is odd about a day of a series (USD by day; a day that is missing cost nothing); None when nothing is.

    `least` is the amount above expected that is worth a look.
    """
    charge = series.get(day, _ZERO)
    band = expected_on(series, day)
    if band is None or charge <= _ZERO:
        return None
    found = Excess(charge, *band)
    return found if charge > found.bound and found.amount >= least else None


def expected_on(series: Series, day: date) -> tuple[Decimal, Decimal] | None:
    """The expected charge of a day and the bound above which it is odd; None while too little is known."""
    first = min((each for each, value in series.items() if value), default=day)
    if (day - first).days < KNOWN_DAYS_LEAST:
        return None
    same = [day - timedelta(weeks=number) for number in range(1, WEEKS + 1)]
    days = [each for each in same if each >= first]
    if len(days) < SAME_WEEKDAYS_LEAST:
        days = [each for number in range(1, ALL_DAYS + 1) if (each := day - timedelta(days=number)) >= first]
    values = [series.get(each, _ZERO) for each in days]
    middle = median(values)
    deviation = max(_NORMAL * median(abs(value - middle) for value in values), LEAST_SHARE * middle)
    return middle, max(middle + DEVIATIONS * deviation, OF_EXPECTED * middle)
