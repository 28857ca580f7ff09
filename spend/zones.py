"""A tenant's days: when each begins and ends, in its own time zone.

Whoever marks a day and whoever counts it use the bounds computed here, so that an event is on the same day for both,
whatever time zone data ClickHouse has.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from tenants.models import Tenant

log = structlog.get_logger(__name__)

REMEMBERED_SECONDS = 5.0
_DAY = timedelta(days=1)
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Calendar:
    """The days of one time zone. Moments are Unix ms."""

    def __init__(self, zone: str) -> None:
        """Raises ZoneInfoNotFoundError, OSError or ValueError when there is no such zone."""
        self.zone = zone
        self._zone = ZoneInfo(zone)
        self._latest = (date.min, 0, 0)  # events come in the order of time: most are on the day of the one before

    def day_of(self, ms: int) -> date:
        """The day that holds a moment."""
        day, start, end = self._latest
        if start <= ms < end:
            return day
        day = moment_of(ms).astimezone(self._zone).date()
        start, end = self.bounds(day)
        if ms >= end:  # clocks were set back over midnight and show the day before once more: no day comes twice
            day += _DAY
            start, end = self.bounds(day)
        self._latest = (day, start, end)
        return day

    def bounds(self, first: date, last: date | None = None) -> tuple[int, int]:
        """The first moment of a day, and that of the day after it (after `last`, when one is given)."""
        return self._midnight(first), self._midnight((last or first) + _DAY)

    def _midnight(self, day: date) -> int:
        """Where midnight does not exist, because clocks are set forward over it, the day begins at the change."""
        return ms_of(datetime(day.year, day.month, day.day, tzinfo=self._zone))


@lru_cache(maxsize=512)
def calendar(zone: str) -> Calendar:
    """The calendar of a zone; that of UTC, and a line in the log, when there is no such zone."""
    try:
        return Calendar(zone)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        log.warning("a time zone is not known; its days are counted in UTC", zone=zone)
        return Calendar("UTC")


class Calendars:
    """The tenants' calendars, remembered for a while: for whoever asks for many."""

    def __init__(self) -> None:
        self._zones: dict[str, str] = {}
        self._read_at = float("-inf")

    def of(self, tenant_id: str) -> Calendar:
        """A tenant's calendar; that of UTC for a tenant that SQL does not know."""
        if time.monotonic() - self._read_at > REMEMBERED_SECONDS:
            self._zones = dict(Tenant.objects.values_list("id", "time_zone"))
            self._read_at = time.monotonic()
        if tenant_id not in self._zones:  # it may be new; if not, it is not asked for again
            self._zones[tenant_id] = _zone_of(tenant_id)
        return calendar(self._zones[tenant_id])


def calendar_of(tenant_id: str) -> Calendar:
    """A tenant's calendar, as it is now."""
    return calendar(_zone_of(tenant_id))


def moment_of(ms: int) -> datetime:
    """Unix ms as a moment, exactly."""
    return _EPOCH + timedelta(milliseconds=ms)


def ms_of(moment: datetime) -> int:
    """A moment as Unix ms, exactly."""
    return (moment.astimezone(UTC) - _EPOCH) // _MILLISECOND


def _zone_of(tenant_id: str) -> str:
    return Tenant.objects.filter(pk=tenant_id).values_list("time_zone", flat=True).first() or "UTC"
