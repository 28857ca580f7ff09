"""Tenants' time zones, as the ingest and the questions need them: looked up often, changed hardly ever."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tenants.models import Tenant

REMEMBERED_SECONDS = 5.0

_zones: dict[str, str] = {}
_read_at = float("-inf")


def zone_of(tenant_id: str) -> str:
    """The IANA name of a tenant's zone; UTC for a tenant that is not known."""
    global _zones, _read_at
    now = time.monotonic()
    if now - _read_at > REMEMBERED_SECONDS or tenant_id not in _zones:
        _zones = dict(Tenant.objects.values_list("id", "time_zone"))
        _read_at = now
    return _zones.get(tenant_id, "UTC")


def day_of(ts_ms: int, zone: str) -> date:
    """The day in a zone of a moment in Unix milliseconds."""
    return datetime.fromtimestamp(ts_ms // 1000, ZoneInfo(zone)).date()


def bounds(first: date, last: date, zone: str) -> tuple[datetime, datetime]:
    """The moments (UTC) at which the first day begins and the last one has ended, whatever the clocks do between."""
    return _midnight(first, zone), _midnight(last + timedelta(days=1), zone)


def _midnight(day: date, zone: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
