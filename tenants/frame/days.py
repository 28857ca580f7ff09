"""Days in requests: written as RFC 3339 writes them, and in no other way."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def day_of(text: str) -> date:
    """The day that a text names. Raises ValueError for everything that is not an RFC 3339 full-date."""
    if not _DAY.fullmatch(text):
        raise ValueError("Write a day as year, month and day, like 2026-11-21.")
    return date.fromisoformat(text)


def _only_days(value: Any) -> Any:
    """Numbers would be taken for moments: 0 for the first day of 1970."""
    return day_of(value) if isinstance(value, str) else value if isinstance(value, date) else day_of(str(value))


Day = Annotated[date, BeforeValidator(_only_days)]
