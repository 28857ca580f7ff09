"""When a message is tried again. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

# The wait before each attempt, the first included.
SCHEDULE = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=10),
)
MOST_ATTEMPTS = len(SCHEDULE)

# A worker that claimed a message and died leaves it for so long: more than any channel's time-outs add up to.
LEASE = timedelta(seconds=60)


def next_attempt(attempts: int, at: datetime) -> datetime | None:
    """When to try again after so many attempts; None when the schedule is used up."""
    return at + SCHEDULE[attempts] if attempts < MOST_ATTEMPTS else None
