"""Where months begin and end, held against dateutil, which has zones and calendar arithmetic of its own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from dateutil import tz
from dateutil.relativedelta import relativedelta
from hypothesis import given, settings
from hypothesis import strategies as st

from budgets.rules import month_of, start_of

ZONES = [
    "UTC",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Tehran",
]


def first_of_month(at: datetime, zone: str) -> date:
    return at.astimezone(tz.gettz(zone)).date() + relativedelta(day=1)


def midnight(day: date, zone: str) -> datetime:
    """dateutil's own way to the first moment of a day."""
    local = datetime(day.year, day.month, day.day, tzinfo=tz.gettz(zone))
    return tz.resolve_imaginary(local).astimezone(UTC)


@pytest.mark.parametrize("zone", ZONES)
def test_every_month_of_many_years_begins_where_dateutil_says(zone):
    at = datetime(2023, 12, 31, 12, tzinfo=UTC)
    while at.year < 2029:
        bounds = month_of(at, zone)
        first = first_of_month(at, zone)
        following = first + relativedelta(months=1)
        assert bounds.first_day == first
        assert bounds.last_day == following - relativedelta(days=1)
        assert bounds.starts_at == midnight(first, zone)
        assert bounds.ends_at == midnight(following, zone)
        assert bounds.starts_at <= at < bounds.ends_at
        at += timedelta(days=9, hours=7)


@settings(max_examples=300, deadline=None)
@given(
    at=st.integers(1_577_836_800, 2_051_222_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    zone=st.sampled_from(ZONES),
)
def test_months_follow_each_other_without_gap_or_overlap(at, zone):
    bounds = month_of(at, zone)
    assert month_of(bounds.starts_at, zone) == bounds
    assert month_of(bounds.ends_at - timedelta(microseconds=1), zone) == bounds
    following = month_of(bounds.ends_at, zone)
    assert following.starts_at == bounds.ends_at
    assert following.first_day == bounds.last_day + timedelta(days=1)


@pytest.mark.parametrize(
    ("at", "zone", "first_day", "last_day", "starts_at", "ends_at"),
    [
        # the example that callers read: November in India ends at 18:30 UTC
        ("2026-11-21T06:30", "Asia/Kolkata", "2026-11-01", "2026-11-30", "2026-10-31T18:30", "2026-11-30T18:30"),
        # a leap day, and a February without one
        ("2028-02-29T12:00", "UTC", "2028-02-01", "2028-02-29", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("2027-02-28T23:59", "UTC", "2027-02-01", "2027-02-28", "2027-02-01T00:00", "2027-03-01T00:00"),
        # the year turns earlier in the east: already January there
        ("2026-12-31T10:30", "Pacific/Kiritimati", "2027-01-01", "2027-01-31", "2026-12-31T10:00", "2027-01-31T10:00"),
        # Chatham is +12:45, and +13:45 in summer time, which ends on 5 April 2026
        ("2026-04-03T00:00", "Pacific/Chatham", "2026-04-01", "2026-04-30", "2026-03-31T10:15", "2026-04-30T11:15"),
        # March has an hour less in Berlin, October one more
        ("2026-03-15T00:00", "Europe/Berlin", "2026-03-01", "2026-03-31", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("2026-10-15T00:00", "Europe/Berlin", "2026-10-01", "2026-10-31", "2026-09-30T22:00", "2026-10-31T23:00"),
        # the last second of a month and the first of the next, in New York
        ("2026-12-01T04:59:59", "America/New_York", "2026-11-01", "2026-11-30", "2026-11-01T04:00", "2026-12-01T05:00"),
        ("2026-12-01T05:00", "America/New_York", "2026-12-01", "2026-12-31", "2026-12-01T05:00", "2027-01-01T05:00"),
    ],
)
def test_known_months(at, zone, first_day, last_day, starts_at, ends_at):
    bounds = month_of(datetime.fromisoformat(at).replace(tzinfo=UTC), zone)
    assert bounds.first_day == date.fromisoformat(first_day)
    assert bounds.last_day == date.fromisoformat(last_day)
    assert bounds.starts_at == datetime.fromisoformat(starts_at).replace(tzinfo=UTC)
    assert bounds.ends_at == datetime.fromisoformat(ends_at).replace(tzinfo=UTC)


def test_a_day_whose_midnight_does_not_exist_begins_with_the_jump():
    # Paraguay's clocks went from 00:00 to 01:00 on 1 October 2023 (-04 to -03)
    assert start_of(date(2023, 10, 1), "America/Asuncion") == datetime(2023, 10, 1, 4, tzinfo=UTC)
    # Cuba's clocks went back from 01:00 to 00:00 on 6 November 2022: of the two midnights the first counts
    assert start_of(date(2022, 11, 6), "America/Havana") == datetime(2022, 11, 6, 4, tzinfo=UTC)


def test_the_share_of_a_period_that_is_gone():
    bounds = month_of(datetime(2026, 11, 21, tzinfo=UTC), "UTC")
    assert bounds.share_gone(bounds.starts_at - timedelta(days=1)) == 0
    assert bounds.share_gone(bounds.starts_at) == 0
    assert bounds.share_gone(datetime(2026, 11, 16, tzinfo=UTC)) == 50
    assert bounds.share_gone(bounds.ends_at - timedelta(seconds=1)) == 99
    assert bounds.share_gone(bounds.ends_at) == 100
