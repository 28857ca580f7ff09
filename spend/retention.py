"""How long single calls are kept. What they were summed up to stays for ever.

A day is counted anew from its events, so a day of which events may be gone must never be counted again. The settings
say for how long events are kept at least; `manage.py migrate_clickhouse` writes that into the tables.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.conf import settings

_DAY_MS = 86_400_000
_LONGEST_DAY_MS = 26 * 3_600_000  # when clocks are set back, and while it waits to be counted
_SLACK_MS = 6 * 3_600_000  # of clocks, and of a statement that takes its time


def usage_kept_from(now_ms: int | None = None) -> int:
    """The moment (Unix ms) from which on all usage events are certain to stand; 0 when they are kept for ever."""
    days = settings.USAGE_RETENTION_DAYS
    if not days:
        return 0
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    return now - days * _DAY_MS + _SLACK_MS


def countable_from() -> int:
    """The moment (Unix ms) from which on an event's whole day is kept, in whatever zone, and can be counted anew."""
    kept_from = usage_kept_from()
    return kept_from and kept_from + _LONGEST_DAY_MS


def kept_for() -> timedelta | None:
    """For how long usage events are kept; None: for ever."""
    return timedelta(days=settings.USAGE_RETENTION_DAYS) if settings.USAGE_RETENTION_DAYS else None
