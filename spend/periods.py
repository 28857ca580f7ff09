"""The period that a spend page covers: whole days in the tenant's zone, and the days it is compared with. Pure."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from wire.display import days

MOST_DAYS = 400


class Choice(StrEnum):
    """What a person picks."""

    MONTH_TO_DATE = "month"
    LAST_7_DAYS = "7d"
    LAST_30_DAYS = "30d"
    LAST_MONTH = "last-month"
    CUSTOM = "custom"


LABELS = {
    Choice.MONTH_TO_DATE: "Month to date",
    Choice.LAST_7_DAYS: "Last 7 days",
    Choice.LAST_30_DAYS: "Last 30 days",
    Choice.LAST_MONTH: "Last month",
    Choice.CUSTOM: "Custom",
}


class PeriodError(ValueError):
    """Days that make no period; the message says what to choose instead."""


@dataclass(frozen=True)
class Period:
    """Days from `first` to `last`, both included, none after today; `closed_last` is the last day that is over."""

    choice: Choice
    first: date
    last: date
    today: date
    axis_last: date  # where the chart's axis ends: a running month is drawn whole

    @property
    def label(self) -> str:
        """The choice's name, or for custom days the days."""
        return self.days if self.choice is Choice.CUSTOM else LABELS[self.choice]

    @property
    def days(self) -> str:
        return days(self.first, self.last)

    @property
    def closed_last(self) -> date | None:
        """The last day of the period that is over; None when the period is today alone."""
        last = min(self.last, self.today - timedelta(days=1))
        return last if last >= self.first else None

    def compared(self) -> tuple[date, date] | None:
        """The days that the closed days are held against: the same days of the month before, or as many days before."""
        last = self.closed_last
        if last is None:
            return None
        if self.choice in (Choice.MONTH_TO_DATE, Choice.LAST_MONTH):
            first = month_before(self.first)
            whole_month = last == month_end(self.first)
            return first, month_end(first) if whole_month else min(
                first.replace(day=1) + (last - self.first), month_end(first)
            )
        length = last - self.first + timedelta(days=1)
        return self.first - length, self.first - timedelta(days=1)


def period_of(choice: Choice, today: date, *, first: date | None = None, last: date | None = None) -> Period:
    """The period of a choice. Custom days end today at the latest. Raises PeriodError when they make no period."""
    if choice is Choice.MONTH_TO_DATE:
        return Period(choice, today.replace(day=1), today, today, month_end(today))
    if choice is Choice.LAST_MONTH:
        begin = month_before(today)
        return Period(choice, begin, month_end(begin), today, month_end(begin))
    if choice is Choice.CUSTOM:
        return _custom(today, first, last)
    length = 7 if choice is Choice.LAST_7_DAYS else 30
    return Period(choice, today - timedelta(days=length - 1), today, today, today)


def _custom(today: date, first: date | None, last: date | None) -> Period:
    if first is None or last is None:
        raise PeriodError("Give the first and the last day.")
    if first > today:
        raise PeriodError("The first day is still to come: choose today or an earlier one.")
    if last < first:
        raise PeriodError("The last day lies before the first: swap them.")
    last = min(last, today)
    if (last - first).days >= MOST_DAYS:
        raise PeriodError(f"That is more than {MOST_DAYS} days: choose fewer.")
    return Period(Choice.CUSTOM, first, last, today, last)


def month_end(of: date) -> date:
    """The last day of a day's month."""
    return of.replace(day=monthrange(of.year, of.month)[1])


def month_before(of: date) -> date:
    """The first day of the month before."""
    return (of.replace(day=1) - timedelta(days=1)).replace(day=1)


def each_day(first: date, last: date) -> list[date]:
    """Every day from first to last, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
