"""How long to wait after failures."""

from __future__ import annotations

from datetime import timedelta

FIRST = timedelta(seconds=1)
LONGEST = timedelta(hours=1)
FIRST_PAUSE = timedelta(seconds=0.2)
LONGEST_PAUSE = timedelta(seconds=5)


def delay(attempts: int) -> timedelta:
    """The wait of an object that cannot be rendered: doubled after each failure, up to an hour."""
    return min(FIRST * 2 ** min(attempts - 1, 20), LONGEST)


def pause_after(failures: int) -> timedelta:
    """The wait of a namespace whose store fails: doubled each time, and short, as everything waits for it."""
    return min(FIRST_PAUSE * 2 ** min(failures - 1, 20), LONGEST_PAUSE)
