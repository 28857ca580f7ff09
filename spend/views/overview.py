"""The spend page: what was spent, by day and group, and how fresh that is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from spend.charts import daily_chart
from spend.clickhouse.errors import UnavailableError
from spend.comparison import compare
from spend.forms import GROUPS, VIEWS, OverviewForm
from spend.names import names_of, unnamed
from spend.queries.daily import daily_spend
from spend.queries.freshness import Freshness, freshness
from spend.stack import ZERO, Group, Stack, stack, total_of
from spend.views.live import NOTHING_NEW, OUT_OF_REACH, query_with, stamp, today_of
from spend.waiting import calls_on_their_way
from tenants.gates import keys_seen
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs

REDRAW_SECONDS = 10
LINKED = ("model", "project", "key", "env")  # groupings that the list of requests can be narrowed to


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


def _answer(request: TenantRequest, template: str) -> HttpResponse:
    form = OverviewForm(request.GET, today=today_of(request.tenant), envs=settings.SPENDOPS.environments)
    form.is_valid()
    keys = keys_seen(request)
    context = {"form": form, "query": query_with(request), "live": template.startswith("spend/_")}
    try:
        fresh = freshness(request.tenant.id, keys=keys)
        seen = stamp(_coarse(fresh), form.chosen, query_with(request))
        if context["live"] and request.GET.get("seen") == seen:
            return HttpResponse(status=NOTHING_NEW)
        context |= {"fresh": fresh, "seen": seen} | _figures(request, form, keys)
    except UnavailableError:
        return render(request, template, context | {"unavailable": True}, status=OUT_OF_REACH)
    return render(request, template, context)


def _coarse(fresh: Freshness) -> tuple[object, ...]:
    """What makes the page draw itself again: other counts at once, the mere passing of time each few seconds."""
    return int(fresh.data_to.timestamp()) // REDRAW_SECONDS if fresh.data_to else None, *fresh[1:]


def _figures(request: TenantRequest, form: OverviewForm, keys: Collection[str] | None) -> dict[str, Any]:
    period, group_by, tenant_id = form.chosen, form.group_by, request.tenant.id
    rows = daily_spend(tenant_id, period.first, period.last, group_by=group_by, envs=form.envs, keys=keys)
    names = names_of(tenant_id, seen=keys)
    if group_by == "key":
        names = names.with_keys(tenant_id, (row.group for row in rows), seen=keys)
    spend = stack(rows, period.first, period.last, names.of(group_by), unnamed=unnamed(group_by))
    closed = total_of(row for row in rows if period.closed_last and row.day <= period.closed_last)
    days = period.compared()
    before = total_of(daily_spend(tenant_id, *days, group_by="env", envs=form.envs, keys=keys)) if days else None
    return {
        "period": period,
        "spend": spend,
        "comparison": compare(closed, before, days) if days and before else None,
        "group_label": GROUPS[group_by],
        "groups": [_group(request, group_by, group) for group in spend.groups],
        "shown": form.shown,
        "switches": [
            {"label": label, "query": query_with(request, view=view), "current": view == form.shown}
            for view, label in VIEWS.items()
        ],
        "waiting": not spend.total.requests and calls_on_their_way(form.envs),
        "first_call": first_call(),
    } | _drawn(spend, form)


def _drawn(spend: Stack, form: OverviewForm) -> dict[str, Any]:
    """The chart, or the table with the same values."""
    period = form.chosen
    if form.shown == "table":
        columns = [each.values for each in spend.series]
        days = zip(spend.days, spend.day_totals, *columns, strict=True)
        return {
            "table": [
                {"day": day, "open": day == period.today, "total": total, "values": values}
                for day, total, *values in reversed(list(days))
            ]
        }
    chart = daily_chart(spend, today=period.today, axis_last=period.axis_last, cumulative=form.shown == "cumulative")
    return {"chart": chart}


def _group(request: TenantRequest, group_by: str, group: Group) -> dict[str, Any]:
    """A row of the table of groups, with the way to its requests where the list can be narrowed to it."""
    linked = group.id and group_by in LINKED
    query = query_with(request, **{"group": "", "view": "", group_by: group.id})
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
