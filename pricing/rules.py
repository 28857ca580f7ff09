"""What a sync may do, without any database."""

from __future__ import annotations

FALL_MOST_PERCENT = 10


def fall_percent(had: int, lists: int) -> int:
    """By how many percent, rounded up, a count falls; 0 when it does not."""
    return max(0, -(-(had - lists) * 100 // had)) if had else 0


def falls_too_far(had: int, lists: int) -> bool:
    """Whether so many models are gone at once that a source is rather broken than right."""
    return (had - lists) * 100 > had * FALL_MOST_PERCENT
