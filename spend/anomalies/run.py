"""Looking for anomalies: the last days of every project's model, again and again, so that late events count."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from spend.anomalies.rules import ALL_DAYS, LOOK_BACK, Excess, excess, expected_on
from spend.models import Anomaly
from spend.queries.days_of_series import SeriesName, days_of_series
from spend.queries.slices import Each, Slice, cells
from spend.zones import calendar, ms_of
from tenants.models import Tenant
from tenants.scope import across_tenants
from wire.money import MICRO

logger = structlog.get_logger(__name__)

LOOK_AT_DAYS = 8  # today, and what late events may still change
TENANTS_AT_ONCE = 100
ACCEPTED_FOR = timedelta(days=28)
ACCEPTED_TIMES = Decimal("1.2")


def look_for_anomalies() -> int:
    """Look at the last days of all tenants; how many anomalies are new. Raises UnavailableError.

    Safe to run twice or late: a day's series has one row, whose figures are set anew.
    """
    now = ms_of(timezone.now())
    new = 0
    with across_tenants("anomalies are looked for in all tenants"):
        zones = list(Tenant.objects.order_by("pk").values_list("pk", "time_zone"))
        for begin in range(0, len(zones), TENANTS_AT_ONCE):
            todays = {tenant: calendar(zone).day_of(now) for tenant, zone in zones[begin : begin + TENANTS_AT_ONCE]}
            new += _look(todays)
    return new


def _look(todays: Mapping[str, date]) -> int:
    first, last = min(todays.values()), max(todays.values())
    used_from = first - timedelta(days=LOOK_AT_DAYS - 1)
    history = used_from - max(LOOK_BACK, timedelta(days=ALL_DAYS))
    found = days_of_series(list(todays), history, last, used_from=used_from)
    known = {
        (SeriesName(each.tenant_id, each.project_id, each.model), each.day): each
        for each in Anomaly.objects.filter(tenant__in=list(todays), day__gte=used_from)
        # the tenant's own last days: who has another today than others is not looked at on the same days
        if timedelta(0) <= todays[each.tenant_id] - each.day < timedelta(days=LOOK_AT_DAYS)
    }
    accepted = _accepted(todays, first)
    least, new = Decimal(settings.ANOMALY_LEAST_USD), 0
    for name, series in found.items():
        today = todays[name.tenant]
        for day in (today - timedelta(days=number) for number in range(LOOK_AT_DAYS)):
            odd = excess(series, day, least=least)
            row = known.pop((name, day), None)
            if odd is not None and row is None and odd.charge <= ACCEPTED_TIMES * accepted.get(name, Decimal(-1)):
                continue
            if odd is not None:
                new += _keep(name, day, odd, row)
            elif row is not None and row.status == Anomaly.Status.OPEN:
                _update(row, status=Anomaly.Status.GONE)
    for row in known.values():  # nothing of it is left
        if row.status == Anomaly.Status.OPEN:
            _update(row, status=Anomaly.Status.GONE)
    return new


def _accepted(todays: Mapping[str, date], today: date) -> dict[SeriesName, Decimal]:
    """The most that a series cost on a day that somebody said was expected; of the last four weeks."""
    rows = Anomaly.objects.filter(
        tenant__in=list(todays), status=Anomaly.Status.EXPECTED, day__gte=today - ACCEPTED_FOR
    )
    found: dict[SeriesName, Decimal] = {}
    for each in rows:
        name = SeriesName(each.tenant_id, each.project_id, each.model)
        found[name] = max(found.get(name, Decimal(0)), Decimal(each.charge) / MICRO)
    return found


def _keep(name: SeriesName, day: date, odd: Excess, row: Anomaly | None) -> int:
    figures = {"charge": _micro(odd.charge), "expected": _micro(odd.expected), "bound": _micro(odd.bound)}
    if row is not None:
        if any(getattr(row, field) != value for field, value in figures.items()) or row.status == Anomaly.Status.GONE:
            reopened = {"status": Anomaly.Status.OPEN} if row.status == Anomaly.Status.GONE else {}
            _update(row, **figures, **_driver(name, day), **reopened)
        return 0
    fields = figures | _driver(name, day)
    with transaction.atomic():
        _, made = Anomaly.objects.get_or_create(
            tenant_id=name.tenant, day=day, project_id=name.project, model=name.model, defaults=fields
        )
    if made:
        logger.info("anomaly", tenant=name.tenant, day=f"{day}", project=name.project, model=name.model)
    return int(made)


def _driver(name: SeriesName, day: date) -> dict[str, object]:
    """The key whose spend rose the most above its own expected, and its share in what is above expected."""
    first = day - max(LOOK_BACK, timedelta(days=ALL_DAYS))
    of = Slice(first, day, only={"project": [name.project], "model": [name.model]})
    by_key: dict[str, dict[date, Decimal]] = {}
    for cell in cells(name.tenant, of, by=["key"], each=Each.DAY, purpose="anomalies"):
        by_key.setdefault(cell.groups[0], {})[cell.begin] = cell.charge
    above = {key: _above(series, day) for key, series in by_key.items()}
    whole = sum((amount for amount in above.values() if amount > 0), Decimal(0))
    if not whole:
        return {"key_id": "", "key_share": 0}
    key = max(above, key=lambda each: (above[each], each))
    return {"key_id": key, "key_share": int(100 * above[key] / whole)}


def _above(series: Mapping[date, Decimal], day: date) -> Decimal:
    band = expected_on(series, day)
    return series.get(day, Decimal(0)) - (band[0] if band else Decimal(0))


def _update(row: Anomaly, **changed: object) -> None:
    Anomaly.objects.filter(pk=row.pk).update(**changed, looked_at=timezone.now())


def _micro(amount: Decimal) -> int:
    return int((amount * MICRO).to_integral_value())
