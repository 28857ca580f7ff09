"""The spend page: what was spent, by day and group, how it will end, and how fresh that is."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from pricing.rates.base import RatesError
from pricing.rates.queries import USD, rate_on
from spend.anomalies.queries import Told, open_anomaly, told
from spend.cache_savings import cache_savings
from spend.charts import Beside, daily_chart
from spend.clickhouse.errors import ClickHouseError, UnavailableError
from spend.comparison import compare
from spend.forecasts.queries import Outlook, outlook
from spend.forms import GROUPS, VIEWS, OverviewForm
from spend.limits import Limit, limit_on
from spend.names import Names, names_of, unnamed
from spend.pace import HISTORY_DAYS, paced
from spend.periods import Choice, Period, each_day
from spend.queries.daily import DailyRow, daily_spend
from spend.queries.freshness import Freshness, freshness
from spend.queries.ratios import denied
from spend.queries.slices import Each, Slice, cells
from spend.stack import ZERO, Group, Stack, stack, total_of
from spend.views.live import NOTHING_NEW, OUT_OF_REACH, query_with, stamp, today_of
from spend.waiting import calls_on_their_way
from tenants.gates import keys_seen
from tenants.http import TenantRequest
from tenants.models import Tenant
from tenants.permissions import Permission, needs
from wire.display import days as days_in_words
from wire.display import money
from wire.money import PICO_PER_USD

REDRAW_SECONDS = 10
LINKED = ("model", "project", "key", "env")  # groupings that the list of requests can be narrowed to
MOVERS_SHOWN = 5


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    return _answer(cast(TenantRequest, request), "spend/overview.html")


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def data(request: HttpRequest) -> HttpResponse:
    """The part that changes. 204 while it is what the page says it has `seen`."""
    return _answer(cast(TenantRequest, request), "spend/_overview.html")


@needs(Permission.SPEND_VIEW, Permission.SPEND_VIEW_OWN)
@require_safe
def cache_saved(request: HttpRequest) -> HttpResponse:
    """What reading from providers' caches saved: apart, as it is counted from the single calls."""
    request = cast(TenantRequest, request)
    form = _form(request)
    of = Slice(
        form.chosen.first, form.chosen.last, only={"env": form.envs} if form.envs else {}, keys=keys_seen(request)
    )
    try:
        saved = cache_savings(request.tenant.id, of)
    except ClickHouseError:
        return HttpResponse(status=OUT_OF_REACH)
    return render(request, "spend/_cache_saved.html", {"saved": saved})


def _form(request: TenantRequest) -> OverviewForm:
    form = OverviewForm(request.GET, today=today_of(request.tenant), envs=settings.SPENDOPS.environments)
    form.is_valid()
    return form


def _answer(request: TenantRequest, template: str) -> HttpResponse:
    form = _form(request)
    keys = keys_seen(request)
    context = {"form": form, "query": query_with(request), "live": template.startswith("spend/_")}
    try:
        fresh = freshness(request.tenant.id, keys=keys)
        anomaly = _anomaly(request, form.chosen) if keys is None else None
        told_of = None if anomaly is None else (anomaly.row.pk, anomaly.charge)
        seen = stamp(_coarse(fresh), form.chosen, query_with(request), told_of)
        if context["live"] and request.GET.get("seen") == seen:
            return HttpResponse(status=NOTHING_NEW)
        context |= {"fresh": fresh, "seen": seen, "anomaly": anomaly} | _figures(request, form, keys)
    except UnavailableError:
        return render(request, template, context | {"unavailable": True}, status=OUT_OF_REACH)
    return render(request, template, context)


def _anomaly(request: TenantRequest, period: Period) -> Told | None:
    row = open_anomaly(period.first, period.last)
    if row is None:
        return None
    return told(row, names_of(request.tenant.id).with_keys(request.tenant.id, [row.key_id], seen=None))


def _coarse(fresh: Freshness) -> tuple[object, ...]:
    """What makes the page draw itself again: other counts at once, the mere passing of time each few seconds."""
    return int(fresh.data_to.timestamp()) // REDRAW_SECONDS if fresh.data_to else None, *fresh[1:]


def _figures(request: TenantRequest, form: OverviewForm, keys: Collection[str] | None) -> dict[str, Any]:
    period, group_by, tenant_id = form.chosen, form.group_by, request.tenant.id
    rows = daily_spend(tenant_id, period.first, period.last, group_by=group_by, envs=form.envs, keys=keys)
    days = period.compared()
    earlier = daily_spend(tenant_id, *days, group_by=group_by, envs=form.envs, keys=keys) if days else []
    names = names_of(tenant_id, seen=keys)
    if group_by == "key":
        names = names.with_keys(tenant_id, (row.group for row in (*rows, *earlier)), seen=keys)
    spend = stack(rows, period.first, period.last, names.of(group_by), unnamed=unnamed(group_by))
    closed = [row for row in rows if period.closed_last and row.day <= period.closed_last]
    comparison = compare(total_of(closed), total_of(earlier), days) if days else None
    whole = keys is None and not form.narrowed and period.choice is Choice.MONTH_TO_DATE
    ahead = _outlook(tenant_id, period, spend) if whole else None
    limit = limit_on(tenant_id, period.first, period.axis_last) if whole else None
    of = Slice(period.first, period.last, only={"env": form.envs} if form.envs else {}, keys=keys)
    beside = _beside(tenant_id, form, earlier, ahead, limit)
    return {
        "period": period,
        "spend": spend,
        "comparison": comparison,
        "compared_words": days_in_words(*days) if days else "",
        "converted": _converted(request.tenant, spend.total.charge, period),
        "outlook": ahead,
        "limit": limit and _limit(limit, spend.total.charge, ahead, period),
        "denied": denied(tenant_id, of, passed=spend.total.requests),
        "movers": _movers(closed, earlier, names, group_by) if days else [],
        "group_label": GROUPS[group_by],
        "groups": [_group(request, group_by, group) for group in spend.groups],
        "shown": form.shown,
        "beside": beside,
        "switches": [
            {"label": label, "query": query_with(request, view=view), "current": view == form.shown}
            for view, label in VIEWS.items()
        ],
        "waiting": not spend.total.requests and calls_on_their_way(form.envs),
        "first_call": first_call(),
    } | _drawn(spend, form, beside)


def _outlook(tenant_id: str, period: Period, spend: Stack) -> Outlook | None:
    today_total = spend.day_totals[-1]
    before = spend.total.charge - today_total
    return outlook(tenant_id, period.axis_last, today=period.today, before=before, spent_today=today_total)


def _limit(limit: Limit, spent: Decimal, ahead: Outlook | None, period: Period) -> dict[str, Any]:
    """The limit's figures; the meter's in whole pico-USD."""
    length = (period.axis_last - period.first).days + 1
    used = spent / limit.amount if limit.amount else None
    gone = Decimal((period.today - period.first).days + 1) / length
    return {
        "limit": limit,
        "left": max(limit.amount - spent, ZERO),
        "over": max(spent - limit.amount, ZERO),
        "used": used,
        "gone": gone,
        "spent_pico": int(spent * PICO_PER_USD),
        "limit_pico": int(limit.amount * PICO_PER_USD),
        "forecast_pico": int(ahead.mid * PICO_PER_USD) if ahead else 0,
        "kind": "bad" if spent >= limit.amount else "warn" if ahead and ahead.mid > limit.amount else "",
    }


def _beside(
    tenant_id: str, form: OverviewForm, earlier: list[DailyRow], ahead: Outlook | None, limit: Limit | None
) -> Beside:
    """What is drawn beside the bars: days to come, the pace towards the limit, the days before if asked for."""
    period = form.chosen
    before: list[tuple[Any, Decimal]] = []
    days = period.compared()
    if form.compared and days:
        sums = dict.fromkeys(each_day(*days), ZERO)
        for row in earlier:
            sums[row.day] += row.charge
        before = list(sums.items())
    pace: list[tuple[Any, Decimal]] = []
    if limit is not None:
        span = each_day(period.first, period.axis_last)
        history = Slice(period.today - timedelta(days=HISTORY_DAYS), period.today - timedelta(days=1))
        known: dict[Any, Decimal] = dict.fromkeys(each_day(history.first, history.last), ZERO)
        known |= {cell.begin: cell.charge for cell in cells(tenant_id, history, each=Each.DAY, purpose="pace")}
        pace = list(zip(span, paced(limit.amount, span, known), strict=True))
    to_come = ahead.days[1:] if ahead else []
    return Beside(to_come, ahead.band[1:] if ahead else [], pace, before)


def _movers(closed: list[DailyRow], earlier: list[DailyRow], names: Names, group_by: str) -> list[dict[str, Any]]:
    """The groups whose spend changed the most against the days before."""
    changes: dict[str, list[Decimal]] = {}
    for place, rows in enumerate((closed, earlier)):
        for row in rows:
            changes.setdefault(row.group, [ZERO, ZERO])[place] += row.charge
    ranked = sorted(changes.items(), key=lambda each: (-abs(each[1][0] - each[1][1]), each[0]))
    named = names.of(group_by)
    return [
        {
            "name": named.get(group) or unnamed(group_by)(group),
            "change": now - before,
            "share": (now - before) / before if before else None,
            "now": now,
            "before": before,
        }
        for group, (now, before) in ranked[:MOVERS_SHOWN]
        if now != before
    ]


def _converted(tenant: Tenant, charge: Decimal, period: Period) -> dict[str, Any] | None:
    """The figure in the tenant's own currency, with the rate that made it so and its day."""
    if tenant.currency == USD or not charge:
        return None
    try:
        rate = rate_on(tenant.currency, period.last)
    except RatesError:
        return None
    return {
        "amount": money(rate.from_pico(int(charge * PICO_PER_USD)), tenant.currency),
        "rate": f"{Decimal(rate.per_usd_e8).scaleb(-8).normalize():f} {tenant.currency} for $1",
        "source": rate.source,
        "day": rate.day,
    }


def _drawn(spend: Stack, form: OverviewForm, beside: Beside) -> dict[str, Any]:
    """The chart, or the table with the same values."""
    period = form.chosen
    if form.shown == "table":
        return {"table": _table(spend, period, beside), "columns": _columns(beside)}
    chart = daily_chart(
        spend,
        today=period.today,
        axis_last=period.axis_last,
        cumulative=form.shown == "cumulative",
        beside=beside,
    )
    return {"chart": chart}


def _columns(beside: Beside) -> list[str]:
    return [name for name, there in (("Days before", beside.before), ("Budget pace", beside.pace)) if there]


def _table(spend: Stack, period: Period, beside: Beside) -> list[dict[str, Any]]:
    """A row a day, the newest first: what was spent, what is forecast, and what is drawn beside."""
    pace, forecast = dict(beside.pace), dict(beside.forecast)
    before = {spend.days[0] + timedelta(days=place): value for place, (_, value) in enumerate(beside.before)}
    values = dict(zip(spend.days, zip(*(each.values for each in spend.series), strict=True), strict=False))
    totals = dict(zip(spend.days, spend.day_totals, strict=True))
    days = sorted({*spend.days, *forecast, *pace, *before}, reverse=True)
    return [
        {
            "day": day,
            "open": day == period.today,
            "forecast": day not in totals and day in forecast,
            "total": totals.get(day, forecast.get(day)),
            "values": list(values.get(day, [])) or ([None] * len(spend.series)),
            "beside": [column.get(day) for column, there in ((before, beside.before), (pace, beside.pace)) if there],
        }
        for day in days
    ]


def _group(request: TenantRequest, group_by: str, group: Group) -> dict[str, Any]:
    """A row of the table of groups, with the way to its requests where the list can be narrowed to it."""
    linked = group.id and group_by in LINKED
    query = query_with(request, **{"group": "", "view": "", "compare": "", group_by: group.id})
    return {
        "name": group.name,
        "number": group.number,
        "sum": group.sum,
        "share": group.share,
        "share_width": f"{(group.share or ZERO) * 100:.1f}",
        "url": f"{reverse('spend:requests')}?{query}" if linked else "",
    }


def first_call() -> str:
    """A line that makes a first call through the gateway of the first environment."""
    gateway = next(iter(settings.GATEWAY_URLS.values()))
    body = '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}'
    return (
        f"curl {gateway}/v1/chat/completions \\\n"
        '  -H "Authorization: Bearer $SPENDOPS_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{body}'"
    )
