"""When a report is due, which days it covers, and when a mail is tried again. Pure."""

from __future__ import annotations

from calendar import day_name, monthrange
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from spend.periods import month_before, month_end

DAILY, WEEKLY, MONTHLY = "daily", "weekly", "monthly"
WAIT_MOST = 48  # hours
CATCH_UP = timedelta(days=7)  # what was due longer ago, while nothing ran, is left out

# The wait before each attempt to send a mail, the first included.
SCHEDULE = (
    timedelta(0),
    timedelta(seconds=15),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=10),
)
MAIL_LEASE = timedelta(seconds=90)  # more than a mail server's time-outs add up to
GATHER_LEASE = timedelta(minutes=5)  # of a sending whose figures are being gathered
_LOOK_AGAIN = (timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=5))
_DAY = timedelta(days=1)


class Times(NamedTuple):
    """On which days and at which hour of a zone a report is due. `weekday` from Monday as 0."""

    cadence: str
    weekday: int
    month_day: int
    hour: int


class Due(NamedTuple):
    """A moment on which a report is due, and its day in the zone."""

    day: date
    at: datetime


def next_due(times: Times, zone: str, *, after: datetime, after_day: date | None = None) -> Due:
    """The first moment after `after`, on a day after `after_day`."""
    day = after.astimezone(ZoneInfo(zone)).date() - _DAY
    if after_day is not None:
        day = max(day, after_day + _DAY)
    while not (_is_day(times, day) and (at := moment_at(day, times.hour, zone)) > after):
        day += _DAY
    return Due(day, at)


def moment_at(day: date, hour: int, zone: str) -> datetime:
    """A full hour of a day, in UTC. One that clocks leave out is the moment of the change; of two, the first."""
    known = ZoneInfo(zone)
    local = datetime(day.year, day.month, day.day, hour, tzinfo=known)
    at = local.astimezone(UTC)
    if at.astimezone(known).replace(tzinfo=None) == local.replace(tzinfo=None):
        return at
    before, offset = local.replace(fold=1).astimezone(UTC), local.utcoffset()
    while at - before > timedelta(seconds=1):  # `before` lies before the change, `at` not
        middle = (before + (at - before) / 2).replace(microsecond=0)
        if middle.astimezone(known).utcoffset() == offset:
            before = middle
        else:
            at = middle
    return at


def period_before(cadence: str, day: date) -> tuple[date, date]:
    """The days that a report covers which is due on a day: the day, the seven days, or the month before."""
    if cadence == MONTHLY:
        first = month_before(day)
        return first, month_end(first)
    return day - (7 * _DAY if cadence == WEEKLY else _DAY), day - _DAY


def compared_with(cadence: str, first: date, last: date) -> tuple[date, date]:
    """The days that a period is held against: the month before, or as many days before."""
    if cadence == MONTHLY:
        before = month_before(first)
        return before, month_end(before)
    length = last - first + _DAY
    return first - length, first - _DAY


def in_words(times: Times) -> str:
    """Such as "Mondays at 08:00"."""
    at = f"at {times.hour:02d}:00"
    if times.cadence == WEEKLY:
        return f"{day_name[times.weekday]}s {at}"
    if times.cadence == MONTHLY:
        return f"On day {times.month_day} of each month {at}"
    return f"Every day {at}"


def next_attempt(attempts: int, at: datetime) -> datetime | None:
    """When to send a mail again after so many attempts; None when the schedule is used up."""
    return at + SCHEDULE[attempts] if attempts < len(SCHEDULE) else None


def look_again(attempts: int, at: datetime) -> datetime:
    """When to gather figures again after so many attempts: sooner at first, then each five minutes for ever."""
    return at + _LOOK_AGAIN[min(attempts, len(_LOOK_AGAIN)) - 1]


def _is_day(times: Times, day: date) -> bool:
    if times.cadence == WEEKLY:
        return day.weekday() == times.weekday
    if times.cadence == MONTHLY:
        return day.day == min(times.month_day, monthrange(day.year, day.month)[1])
    return True
