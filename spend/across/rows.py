"""Spend of all tenants side by side: each over its own days, in the order of a column. For platform roles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from spend.periods import Choice, Period, PeriodError, period_of
from spend.queries.sums_of_tenants import TenantSum, sums_of_tenants
from spend.zones import calendar
from tenants.models import Tenant

_DAY = timedelta(days=1)
NOTHING = TenantSum()


class TenantRow(NamedTuple):
    """A tenant's spend on its days of the period.

    `closed` are those of them that are over, which `before` is held against: the same figures as on the tenant's own
    page. `share` is of all tenants' charge; None when there is none.
    """

    id: str
    name: str
    zone: str
    status: str
    period: Period | None  # None where the period has not begun yet
    now: TenantSum
    closed: TenantSum
    before: TenantSum
    share: Decimal | None

    @property
    def change(self) -> Decimal | None:
        """How the closed days' charge changed; None without days to hold it against."""
        return self.closed.charge - self.before.charge if self.period and self.period.compared() else None

    @property
    def change_share(self) -> Decimal | None:
        return self.change / self.before.charge if self.change is not None and self.before.charge else None


@dataclass(frozen=True)
class SideBySide:
    """All tenants; `total` is the sum of all of them, `with_spend` how many used anything."""

    rows: list[TenantRow]
    total: TenantSum
    closed: TenantSum
    before: TenantSum

    @property
    def with_spend(self) -> int:
        return sum(1 for row in self.rows if row.now != NOTHING)


SORTS: dict[str, tuple[str, Callable[[TenantRow], Any]]] = {
    "charge": ("Charge", lambda row: -row.now.charge),
    "name": ("Name", lambda row: row.name.casefold()),
    "cost": ("Cost", lambda row: -row.now.cost),
    "margin": ("Margin", lambda row: -row.now.margin),
    "change": ("Change", lambda row: -abs(row.change or NOTHING.charge)),
    "requests": ("Requests", lambda row: -row.now.requests),
    "tokens": ("Tokens", lambda row: -row.now.tokens),
    "unpriced": ("Unpriced", lambda row: -row.now.unpriced_requests),
    "errors": ("Errors", lambda row: -row.now.errors),
}


def side_by_side(
    choice: Choice,
    *,
    now: datetime,
    first: date | None = None,
    last: date | None = None,
    envs: Sequence[str] = (),
) -> SideBySide:
    """Every tenant's spend in a period, which for each is that of its own today.

    Raises PeriodError, ClickHouseError.
    """
    tenants = {tenant.pk: tenant for tenant in Tenant.objects.all()}
    # usage of what SQL does not know is counted in UTC, see `spend.zones`
    zones = {"UTC", *(tenant.time_zone for tenant in tenants.values())}
    periods = {zone: _period(zone, choice, now=now, first=first, last=last) for zone in zones}
    known = [period for period in periods.values() if period is not None]
    if not known:
        raise PeriodError("The first day is still to come: choose today or an earlier one.")
    stretches = [each for period in known for each in _stretches(period)]
    begins = [day for begin, end in stretches for day in (begin, end + _DAY)]
    sums = sums_of_tenants(begins, max(end for _, end in stretches), envs=envs)
    rows = [
        _row(tenant, tenant.name, tenant.time_zone, tenant.status, periods[tenant.time_zone], sums.get(tenant.pk, {}))
        for tenant in tenants.values()
    ]
    rows += [_row(None, id, "UTC", "", periods["UTC"], found) for id, found in sums.items() if id not in tenants]
    total = TenantSum.of(row.now for row in rows)
    rows = [row._replace(share=row.now.charge / total.charge if total.charge else None) for row in rows]
    return SideBySide(rows, total, TenantSum.of(row.closed for row in rows), TenantSum.of(row.before for row in rows))


def chosen_rows(
    found: SideBySide, *, search: str = "", sort: str = "charge", all_of_them: bool = False
) -> list[TenantRow]:
    """The tenants whose name or id holds a text, in an order; those that used nothing only with `all_of_them`."""
    text = search.strip().casefold()
    rows = [
        row
        for row in found.rows
        if (all_of_them or row.now != NOTHING or row.before != NOTHING)
        and (text in row.name.casefold() or text in row.id.casefold())
    ]
    key = SORTS.get(sort, SORTS["charge"])[1]
    return sorted(rows, key=lambda row: (key(row), row.name.casefold(), row.id))


def _period(zone: str, choice: Choice, *, now: datetime, first: date | None, last: date | None) -> Period | None:
    """The period of a zone's today; None where its first day has not begun. Raises PeriodError for what is none."""
    today = now.astimezone(ZoneInfo(calendar(zone).zone)).date()
    if choice is Choice.CUSTOM and first is not None and first == today + _DAY:
        return None
    return period_of(choice, today, first=first, last=last)


def _stretches(period: Period) -> list[tuple[date, date]]:
    """The days whose sums are asked for: closed ones, those that are not over, those compared with."""
    closed = period.closed_last
    found = [(period.first, period.last)] if closed is None else [(period.first, closed)]
    if closed is not None and closed < period.last:
        found.append((closed + _DAY, period.last))
    compared = period.compared()
    return [*found, compared] if compared else found


def _row(
    tenant: Tenant | None, name: str, zone: str, status: str, period: Period | None, sums: Mapping[date, TenantSum]
) -> TenantRow:
    def within(days: tuple[date, date] | None) -> TenantSum:
        return TenantSum.of(each for begin, each in sums.items() if days and days[0] <= begin <= days[1])

    id = tenant.pk if tenant else name
    if period is None:
        return TenantRow(id, name, zone, status, None, NOTHING, NOTHING, NOTHING, None)
    closed = within((period.first, period.closed_last)) if period.closed_last else NOTHING
    now, before = within((period.first, period.last)), within(period.compared())
    return TenantRow(id, name, zone, status, period, now, closed, before, None)
