"""A tenant's days: every moment is on exactly one, also where clocks change at midnight."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend.zones import REMEMBERED_SECONDS, Calendar, Calendars, calendar, calendar_of, moment_of, ms_of
from tests.spend.conftest import tenant

HOUR = 3_600_000
ZONES = [
    "UTC",
    "Asia/Kolkata",
    "America/New_York",
    "Pacific/Chatham",  # UTC+12:45, and clocks change at 02:45
    "Pacific/Apia",  # left out 30 December 2011
    "Asia/Beirut",  # clocks go forward at midnight: that midnight does not exist
    "America/St_Johns",  # until 2011 clocks changed at 00:01: the day before came back for 59 minutes
    "America/Sao_Paulo",
    "Africa/Casablanca",
]
MOMENTS = st.integers(ms_of(datetime(2000, 1, 2, tzinfo=UTC)), ms_of(datetime(2037, 12, 30, tzinfo=UTC)))


@given(st.sampled_from(ZONES), MOMENTS)
def test_every_moment_is_on_the_day_whose_bounds_hold_it(zone, ms):
    day = Calendar(zone).day_of(ms)
    begin, end = Calendar(zone).bounds(day)
    assert begin <= ms < end


@given(st.sampled_from(ZONES), st.dates(date(2000, 1, 2), date(2037, 12, 30)))
def test_a_day_ends_where_the_next_begins(zone, day):
    days = Calendar(zone)
    assert days.bounds(day)[1] == days.bounds(day + timedelta(days=1))[0]
    assert days.bounds(day, day + timedelta(days=1)) == (
        days.bounds(day)[0],
        days.bounds(day + timedelta(days=1))[1],
    )


@given(st.sampled_from(ZONES), st.lists(MOMENTS, min_size=2, max_size=20))
def test_what_was_asked_before_changes_no_answer(zone, moments):
    one = Calendar(zone)
    assert [one.day_of(ms) for ms in moments] == [Calendar(zone).day_of(ms) for ms in moments]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Pacific/Chatham", date(2026, 4, 5), 25),
        ("Pacific/Chatham", date(2026, 9, 27), 23),
        ("Asia/Beirut", date(2026, 3, 29), 23),
        ("Asia/Kolkata", date(2026, 3, 29), 24),
        ("Pacific/Apia", date(2011, 12, 30), 0),
    ],
)
def test_days_are_as_long_as_the_clocks_make_them(zone, day, hours):
    begin, end = Calendar(zone).bounds(day)
    assert (end - begin) / HOUR == hours


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        ("Asia/Kolkata", "2026-11-20T18:29:59.999+00:00", date(2026, 11, 20)),
        ("Asia/Kolkata", "2026-11-20T18:30:00+00:00", date(2026, 11, 21)),
        ("America/New_York", "2026-11-01T03:59:59+00:00", date(2026, 10, 31)),
        ("America/New_York", "2026-11-02T04:59:59+00:00", date(2026, 11, 1)),  # 25 hours later
        ("Pacific/Chatham", "2026-11-20T10:14:59+00:00", date(2026, 11, 20)),
        ("Pacific/Chatham", "2026-11-20T10:15:00+00:00", date(2026, 11, 21)),
        ("America/St_Johns", "2010-11-07T02:30:30+00:00", date(2010, 11, 7)),  # 00:00:30
        ("America/St_Johns", "2010-11-07T02:40:00+00:00", date(2010, 11, 7)),  # clocks show 23:10 of the day before
    ],
)
def test_moments_are_on_the_local_day(zone, moment, day):
    assert Calendar(zone).day_of(ms_of(datetime.fromisoformat(moment))) == day


def test_a_zone_that_does_not_exist_counts_in_utc():
    assert calendar("Mars/Olympus").zone == "UTC"
    assert calendar("../etc/passwd").zone == "UTC"


def test_moments_and_milliseconds_are_exact():
    for ms in (0, 1, 1_795_262_400_123, 4_102_444_799_999):
        assert ms_of(moment_of(ms)) == ms


def test_a_tenant_has_its_own_days_and_an_unknown_one_those_of_utc(db):
    tenant("t_kolkata01", "Asia/Kolkata")
    assert calendar_of("t_kolkata01").zone == "Asia/Kolkata"
    assert calendar_of("t_nobody001").zone == "UTC"


def test_zones_are_remembered_for_a_while_only(db, django_assert_num_queries, monkeypatch):
    tenant("t_kolkata01", "Asia/Kolkata")
    now = [100.0]
    monkeypatch.setattr("spend.zones.time.monotonic", lambda: now[0])
    calendars = Calendars()
    assert calendars.of("t_kolkata01").zone == "Asia/Kolkata"
    assert calendars.of("t_nobody001").zone == "UTC"
    with django_assert_num_queries(0):
        assert calendars.of("t_kolkata01").zone == "Asia/Kolkata"
        assert calendars.of("t_nobody001").zone == "UTC"
    tenant("t_newcomer1", "Asia/Tokyo")
    assert calendars.of("t_newcomer1").zone == "Asia/Tokyo"
    type(tenant("t_other0001")).objects.filter(pk="t_kolkata01").update(time_zone="Europe/Paris")
    now[0] += REMEMBERED_SECONDS + 1
    assert calendars.of("t_kolkata01").zone == "Europe/Paris"
