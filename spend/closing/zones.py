"""A tenant that moves to another time zone keeps the days of its sealed months, or it does not move."""

from __future__ import annotations

from typing import Any

from spend.models import MonthSeal
from spend.periods import each_day, month_end
from spend.zones import calendar
from tenants.errors import InvalidSettingError
from tenants.models import Tenant
from tenants.scope import tenant_scope


def keep_sealed_days(tenant: Tenant, zone: str, **_: Any) -> None:
    """Refuse a zone in which a day of a sealed month would begin at another moment. Raises InvalidSettingError.

    Its statement, its adjustments and where late events are booked rest on these moments.
    """
    days = calendar(zone)
    with tenant_scope(tenant.id):
        seals = list(MonthSeal.objects.filter(tenant=tenant).order_by("-month"))
    for seal in seals:
        held = calendar(seal.zone)
        if any(days.bounds(day) != held.bounds(day) for day in each_day(seal.month, month_end(seal.month))):
            raise InvalidSettingError(
                f"{seal.month:%B %Y} is sealed with days in {seal.zone}, and would have other days in {zone}. "
                "Keep the time zone; for usage that is to be counted in another one, create another tenant.",
                field="time_zone",
            )
