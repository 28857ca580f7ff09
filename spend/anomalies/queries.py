"""Anomalies as pages and the API show them. Within a tenant's scope."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db.models import Q, QuerySet

from spend.anomalies.rules import ALL_DAYS, LOOK_BACK, expected_on
from spend.models import Anomaly
from spend.names import MODEL_UNKNOWN, Names, unnamed
from spend.periods import each_day
from spend.queries.slices import Each, Slice, cells
from wire.display import day as day_in_words
from wire.display import usd
from wire.money import MICRO

SETTLED = (Anomaly.Status.DISMISSED, Anomaly.Status.EXPECTED, Anomaly.Status.CONFIRMED)


class Told(NamedTuple):
    """An anomaly in words and figures (USD)."""

    row: Anomaly
    project: str
    model: str
    key: str
    headline: str  # "Search ranking spent 2.6× its usual Tuesday on gpt-4o, 17 Nov 2026"
    rest: str  # "+$771 above expected, 94% from one key"
    charge: Decimal
    expected: Decimal
    above: Decimal


def anomalies(*, status: str = "", project: str = "", search: str = "") -> QuerySet[Anomaly]:
    """The tenant's anomalies, the newest day and the dearest first. `status`: one of them, or "settled"; "" for all."""
    rows: QuerySet[Anomaly] = Anomaly.objects.order_by("-day", "-charge", "pk")
    if status == "settled":
        rows = rows.filter(status__in=SETTLED)
    elif status:
        rows = rows.filter(status=status)
    if project:
        rows = rows.filter(project_id=project)
    if search:
        rows = rows.filter(Q(model__icontains=search) | Q(id=search))
    return rows


def anomaly_by_id(anomaly_id: str) -> Anomaly | None:
    """An anomaly of the tenant."""
    return Anomaly.objects.filter(pk=anomaly_id).first()


def open_anomaly(first: date, last: date) -> Anomaly | None:
    """The open anomaly of these days that is furthest above what was expected."""
    rows = Anomaly.objects.filter(status=Anomaly.Status.OPEN, day__gte=first, day__lte=last)
    return max(rows, key=lambda row: (row.charge - row.expected, row.pk), default=None)


def told(row: Anomaly, names: Names) -> Told:
    """What happened, in words."""
    charge, expected = Decimal(row.charge) / MICRO, Decimal(row.expected) / MICRO
    project = names.projects.get(row.project_id) or unnamed("project")(row.project_id)
    model = row.model or MODEL_UNKNOWN
    usual = f"its usual {row.day:%A}"
    spent = f"{charge / expected:.1f}× {usual}" if expected else f"{usd(charge)} where {usual} costs nothing"
    key = names.keys.get(row.key_id) or row.key_id
    share = f", {row.key_share}% from one key" if key else ""
    return Told(
        row,
        project,
        model,
        key,
        f"{project} spent {spent} on {model}, {day_in_words(row.day)}.",
        f"+{usd(charge - expected)} above expected{share}",
        charge,
        expected,
        charge - expected,
    )


class DayOfSeries(NamedTuple):
    """A day of an anomaly's series, USD; `expected` and `bound` are None while too little was known."""

    day: date
    charge: Decimal
    expected: Decimal | None
    bound: Decimal | None


class KeyOnDay(NamedTuple):
    """A key on an anomaly's day, USD."""

    key: str
    charge: Decimal
    expected: Decimal
    requests: int


def series_of(row: Anomaly) -> list[DayOfSeries]:
    """The days around an anomaly, with what was to be expected of each. Raises UnavailableError."""
    span = max(LOOK_BACK, timedelta(days=ALL_DAYS))
    of = Slice(row.day - 2 * span, row.day, only=_only(row))
    found = {cell.begin: cell.charge for cell in cells(row.tenant_id, of, each=Each.DAY, purpose="anomaly")}
    days = []
    for day in each_day(row.day - span, row.day):
        band = expected_on(found, day)
        days.append(DayOfSeries(day, found.get(day, Decimal(0)), *(band or (None, None))))
    return days


def keys_on(row: Anomaly) -> list[KeyOnDay]:
    """The keys that used the model on an anomaly's day, those that rose the most first. Raises UnavailableError."""
    span = max(LOOK_BACK, timedelta(days=ALL_DAYS))
    of = Slice(row.day - span, row.day, only=_only(row))
    series: dict[str, dict[date, Decimal]] = {}
    requests: dict[str, int] = {}
    for cell in cells(row.tenant_id, of, by=["key"], each=Each.DAY, purpose="anomaly"):
        series.setdefault(cell.groups[0], {})[cell.begin] = cell.charge
        if cell.begin == row.day:
            requests[cell.groups[0]] = cell.requests
    found = []
    for key, count in requests.items():
        band = expected_on(series[key], row.day)
        found.append(KeyOnDay(key, series[key][row.day], band[0] if band else Decimal(0), count))
    return sorted(found, key=lambda each: (each.expected - each.charge, each.key))


def _only(row: Anomaly) -> dict[str, list[str]]:
    return {"project": [row.project_id], "model": [row.model]}
