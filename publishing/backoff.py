"""How long to wait after failures."""

from __future__ import annotations

from datetime import timedelta

FIRST = timedelta(seconds=1)
LONGEST = timedelta(hours=1)


def delay(attempts: int) -> timedelta:
    """The wait after so many failures in a row: doubled each time, up to an hour."""
    return min(FIRST * 2 ** min(attempts - 1, 20), LONGEST)
