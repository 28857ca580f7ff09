"""The adjustments of calls whose month is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from spend.clickhouse.client import ask
from spend.models import MonthSeal
from spend.zones import moment_of
from tenants.scope import tenant_scope
from wire.money import pico_from_usd_string

_IDS_AT_ONCE = 2_000  # a statement is 256 KB at most

# they lie on the first moments of months after sealed ones, which the primary index finds
_SQL = """
SELECT toString(event_id), adjusts, toUnixTimestamp64Milli(ts),
    toString(ifNull(cost, toDecimal128(0, 12))), toString(ifNull(charge, toDecimal128(0, 12)))
FROM usage_events FINAL
WHERE tenant_id = %(tenant_id)s AND toStartOfHour(ts) IN %(hours)s AND kind = 'adjustment' AND adjusts IN %(ids)s
"""


class Adjustment(NamedTuple):
    """Money that was added to a call. Amounts in pico-USD; `ts` is where it is booked, Unix ms."""

    event_id: str
    adjusts: str
    ts: int
    cost: int
    charge: int


def adjustments_of(tenant_id: str, event_ids: Sequence[str]) -> list[Adjustment]:
    """All adjustments of these calls. Raises UnavailableError."""
    if not event_ids:
        return []
    hours = hours_booked_on(tenant_id)
    found: list[Adjustment] = []
    for first in range(0, len(event_ids) if hours else 0, _IDS_AT_ONCE):
        parameters = {"hours": hours, "ids": tuple(event_ids[first : first + _IDS_AT_ONCE])}
        rows = ask(_SQL, parameters, tenant_id=tenant_id, purpose="adjustments")
        found += (
            Adjustment(event_id, adjusts, ts, pico_from_usd_string(cost), pico_from_usd_string(charge))
            for event_id, adjusts, ts, cost, charge in rows
        )
    return found


def hours_booked_on(tenant_id: str) -> tuple[str, ...]:
    """The hours in which there may be what is booked for sealed months, as ClickHouse reads moments of UTC."""
    with tenant_scope(tenant_id):
        ends = MonthSeal.objects.filter(tenant_id=tenant_id).values_list("end_ms", flat=True)
        return tuple({f"{moment_of(end):%Y-%m-%d %H:00:00}" for end in ends})
