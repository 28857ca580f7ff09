"""Periods are whole days, none after today, and are held against days that are as long and as far over."""

from __future__ import annotations

from datetime import date

import pytest

from spend.periods import MOST_DAYS, Choice, PeriodError, each_day, period_of

TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("choice", "first", "last", "compared"),
    [
        (Choice.MONTH_TO_DATE, date(2026, 11, 1), TODAY, (date(2026, 10, 1), date(2026, 10, 20))),
        (Choice.LAST_7_DAYS, date(2026, 11, 15), TODAY, (date(2026, 11, 9), date(2026, 11, 14))),
        (Choice.LAST_30_DAYS, date(2026, 10, 23), TODAY, (date(2026, 9, 24), date(2026, 10, 22))),
        (Choice.LAST_MONTH, date(2026, 10, 1), date(2026, 10, 31), (date(2026, 9, 1), date(2026, 9, 30))),
    ],
)
def test_a_period_and_what_it_is_compared_with(choice, first, last, compared):
    period = period_of(choice, TODAY)
    assert (period.first, period.last, period.compared()) == (first, last, compared)


def test_the_axis_of_a_running_month_is_the_whole_month():
    assert period_of(Choice.MONTH_TO_DATE, TODAY).axis_last == date(2026, 11, 30)
    assert period_of(Choice.LAST_7_DAYS, TODAY).axis_last == TODAY


def test_on_the_first_of_the_month_no_day_is_over_and_nothing_is_compared():
    period = period_of(Choice.MONTH_TO_DATE, date(2026, 11, 1))
    assert period.closed_last is None
    assert period.compared() is None


@pytest.mark.parametrize(
    ("today", "compared"),
    [
        (date(2026, 3, 31), (date(2026, 2, 1), date(2026, 2, 28))),  # February has no 30th
        (date(2026, 1, 5), (date(2025, 12, 1), date(2025, 12, 4))),  # over the turn of the year
    ],
)
def test_months_of_other_lengths(today, compared):
    assert period_of(Choice.MONTH_TO_DATE, today).compared() == compared


def test_last_month_is_compared_whole_though_the_month_before_is_longer():
    assert period_of(Choice.LAST_MONTH, date(2026, 3, 10)).compared() == (date(2026, 1, 1), date(2026, 1, 31))


def test_custom_days():
    period = period_of(Choice.CUSTOM, TODAY, first=date(2026, 11, 10), last=date(2026, 12, 24))
    assert (period.first, period.last) == (date(2026, 11, 10), TODAY)
    assert period.label == "10–21 Nov 2026"
    assert period.compared() == (date(2026, 10, 30), date(2026, 11, 9))


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        (None, TODAY, "first and the last day"),
        (TODAY, date(2026, 11, 1), "before the first"),
        (date(2026, 11, 22), date(2026, 11, 23), "still to come"),
        (date(2024, 1, 1), TODAY, f"more than {MOST_DAYS} days"),
    ],
)
def test_days_that_make_no_period_are_refused_with_what_to_do(first, last, says):
    with pytest.raises(PeriodError, match=says):
        period_of(Choice.CUSTOM, TODAY, first=first, last=last)


def test_each_day_has_both_ends():
    assert each_day(date(2026, 2, 27), date(2026, 3, 1)) == [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)]
