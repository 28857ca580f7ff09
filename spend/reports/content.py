"""What a report says: its figures, gathered once, in the words that the mail has. Every amount is that of the pages."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse

from spend.anomalies.queries import anomalies, told
from spend.comparison import compare_amounts
from spend.exploring.words import Words
from spend.forecasts.queries import outlook
from spend.models import Anomaly, ReportSending
from spend.names import names_of
from spend.periods import month_end
from spend.queries.dimensions import label_of
from spend.queries.movers import Mover, moved
from spend.queries.slices import Cell, Each, Slice, cells
from spend.reports.rules import compared_with
from wire import display

GROUPS_SHOWN = 10
MOVERS_SHOWN = 5
ANOMALIES_SHOWN = 5
ZERO = Decimal(0)
_SIGNS = {"up": "▲ ", "down": "▼ ", "": ""}
_KINDS = {"new": "new", "gone": "no longer used"}


def gather(sending: ReportSending, *, now: datetime) -> dict[str, Any]:
    """The content of a sending, as it is kept with it. Raises ClickHouseError."""
    report, tenant = sending.report, sending.tenant
    of = Slice(sending.first, sending.last, zone=sending.zone)
    days = compared_with(report.cadence, sending.first, sending.last)
    groups = cells(tenant.id, of, by=[report.group_by], order_by="charge", purpose="report")
    before = cells(tenant.id, of.on(*days), by=[report.group_by], order_by="charge", purpose="report")
    words = Words(tenant.id, seen=None)
    moves = moved(groups, before)[:MOVERS_SHOWN]
    shown = groups[:GROUPS_SHOWN]
    values = {cell.groups[0] for cell in shown} | {mover.groups[0] for mover in moves}
    words.learn(report.group_by, values)
    total = sum((cell.charge for cell in groups), ZERO)
    compared = compare_amounts(total, sum((cell.charge for cell in before), ZERO), display.usd, days)
    listed = [_group(words.of(report.group_by, each.groups[0]), [each], total) for each in shown]
    if others := groups[len(shown) :]:
        listed.append(_group(display.counted(len(others), "other"), others, total))
    return {
        "tenant": tenant.name,
        "period": display.days(sending.first, sending.last),
        "zone": sending.zone,
        "charge": display.usd(total),
        "charge_exact": display.usd_exact(total),
        "comparison": f"{_SIGNS[compared.direction]}{compared.change} against {compared.before}" if compared else "",
        "facts": _facts(groups, total),
        "group_label": label_of(report.group_by),
        "groups": listed,
        "movers": [{"name": words.of(report.group_by, each.groups[0]), "words": _moved(each)} for each in moves],
        "compared_with": display.days(*days),
        "forecast": _forecast(sending, now=now),
        "anomalies": _anomalies(sending),
        "url": f"{settings.PUBLIC_URL}{reverse('spend:overview')}?{_query(sending)}",
    }


def _facts(groups: list[Cell], total: Decimal) -> list[list[str]]:
    """Label and value of what the whole period came to."""
    requests = sum(cell.requests for cell in groups)
    tokens = sum(cell.input_tokens + cell.output_tokens for cell in groups)
    unpriced = sum(cell.unpriced_requests for cell in groups)
    errors = sum(cell.errors for cell in groups)
    rows = [["Requests", display.count(requests)], ["Tokens", display.count(tokens)]]
    if tokens:
        rows.append(["Cost per 1M tokens", display.usd(total * 10**6 / tokens)])
    if requests:
        share = display.percent(Decimal(errors) / requests)
        rows.append(["Errors", f"{display.count(errors)} ({share})"])
    if unpriced:
        rows.append(["Without a price", f"{display.counted(unpriced, 'request')}, which count as $0"])
    return rows


def _group(name: str, of: list[Cell], total: Decimal) -> dict[str, str]:
    charge = sum((cell.charge for cell in of), ZERO)
    share = display.share_of(charge, total)
    return {"name": name, "charge": display.usd(charge), "share": "" if share is None else display.percent(share)}


def _moved(mover: Mover) -> str:
    """Such as "+$12.00 (+34.0%)"."""
    amount = f"{'+' if mover.change > 0 else ''}{display.usd(mover.change)}"
    share = mover.share
    if share is None or mover.kind in _KINDS:
        return f"{amount} ({_KINDS[mover.kind]})"
    return f"{amount} ({'+' if share > 0 else ''}{display.percent(share)})"


def _forecast(sending: ReportSending, *, now: datetime) -> str:
    """How the running month of the tenant will end; "" where that is not known."""
    tenant = sending.tenant
    today = now.astimezone(ZoneInfo(tenant.time_zone)).date()
    first, last = today.replace(day=1), month_end(today)
    spent = {cell.begin: cell.charge for cell in cells(tenant.id, Slice(first, today), each=Each.DAY, purpose="report")}
    so_far = spent.pop(today, ZERO)
    found = outlook(tenant.id, last, today=today, before=sum(spent.values(), ZERO), spent_today=so_far)
    if found is None:
        return ""
    return (
        f"{display.month(today)} is likely to end at {display.usd(found.mid)}: in four of five cases between "
        f"{display.usd(found.low)} and {display.usd(found.high)}."
    )


def _anomalies(sending: ReportSending) -> list[dict[str, str]]:
    """The open anomalies of the period, those furthest above what was expected."""
    rows = anomalies(status=Anomaly.Status.OPEN).filter(day__gte=sending.first, day__lte=sending.last)
    found = sorted(rows, key=lambda row: (row.expected - row.charge, row.pk))[:ANOMALIES_SHOWN]
    names = names_of(sending.tenant_id).with_keys(sending.tenant_id, (row.key_id for row in found), seen=None)
    said = [told(row, names) for row in found]
    return [
        {
            "headline": each.headline,
            "rest": each.rest,
            "url": settings.PUBLIC_URL + reverse("spend:anomaly", args=[each.row.pk]),
        }
        for each in said
    ]


def _query(sending: ReportSending) -> str:
    return urlencode({"period": "custom", "first": sending.first.isoformat(), "last": sending.last.isoformat()})


def subject_of(sending: ReportSending, content: dict[str, Any]) -> str:
    """Such as "Weekly spend: $1,204.10, 9–15 Nov 2026 (partial)"."""
    test = "Test: " if sending.kind == ReportSending.Kind.TEST else ""
    partial = " (partial)" if sending.partial else ""
    return " ".join(f"{test}{sending.report.name}: {content['charge']}, {content['period']}{partial}".split())
