"""Pages of budgets: the list by risk, one budget, its form, and the panel beside spend."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from access.step_up import step_up_required
from budgets.actions import archive_budget, change_budget, create_budget
from budgets.charts import against_limit
from budgets.errors import StaleBudgetError
from budgets.forms import BudgetForm, initial_of
from budgets.gates import budget_for
from budgets.models import Budget
from budgets.queries import (
    Standing,
    archived_budgets,
    budgets_by_risk,
    crossings_of,
    decisions_of,
    periods_of,
    reading_fails_since,
    standing_of,
)
from budgets.strain import strained_by
from spend.clickhouse.errors import UnavailableError
from spend.names import unnamed
from spend.queries.daily import daily_spend
from spend.stack import Stack, stack
from spend.views.live import NOTHING_NEW, stamp, today_of
from spend.views.what_if import price_impact, sync_for
from tenants.errors import RefusedError
from tenants.http import TenantRequest
from tenants.models import ApiKey
from tenants.permissions import Permission, needs
from tenants.views.posting import post_or_page

SHOWN_IN_PANEL = 5


@needs(Permission.BUDGETS_VIEW)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The tenant's budgets, the most worrying first."""
    request = cast(TenantRequest, request)
    context = {
        "standings": budgets_by_risk(request.tenant),
        "archived": archived_budgets(request.tenant),
        "fails_since": reading_fails_since(),
    }
    return render(request, "budgets/list.html", context)


@needs(Permission.BUDGETS_VIEW)
@require_safe
def panel(request: HttpRequest) -> HttpResponse:
    """The most worrying budgets, to stand beside other figures."""
    request = cast(TenantRequest, request)
    standings = budgets_by_risk(request.tenant)
    context = {"standings": standings[:SHOWN_IN_PANEL], "more": max(0, len(standings) - SHOWN_IN_PANEL)}
    return render(request, "budgets/_panel.html", context)


@needs(Permission.BUDGETS_VIEW)
@require_safe
def sync_impact(request: HttpRequest, sync_id: int) -> HttpResponse:
    """What the changes of a sync would have made of the last 30 days, and the budgets that they would break: for a
    platform admin those of every tenant, for others the tenant's own.
    """
    request = cast(TenantRequest, request)
    context = price_impact(request, sync_for(sync_id))
    if "answer" in context:
        found = strained_by(context["answer"])
        context["broken"] = [each for each in found if each.breaks]
        context["over_anyway"] = [each for each in found if not each.breaks]
    return render(request, "budgets/_price_impact.html", context)


@needs(Permission.BUDGETS_CHANGE)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form of a new budget."""
    request = cast(TenantRequest, request)
    form = BudgetForm(request.POST or None, tenant=request.tenant)
    if request.method == "POST" and form.is_valid():
        try:
            made = create_budget(tenant=request.tenant, wanted=form.wanted(), by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"“{made.budget.name}” is set. It is compared with spend within seconds.")
            return redirect("budgets:budget", made.budget.id)
    return render(request, "budgets/new.html", _form_context(request, form), status=422 if form.errors else 200)


@needs(Permission.BUDGETS_CHANGE)
@require_http_methods(["GET", "POST"])
@step_up_required(bound=True)
def edit(request: HttpRequest, budget_id: str) -> HttpResponse:
    """The form of a budget that is there. A passkey confirms exactly these fields."""
    request = cast(TenantRequest, request)
    budget = budget_for(request, budget_id)
    if budget.status == Budget.Status.ARCHIVED:
        messages.error(request, f"“{budget.name}” is archived and cannot be changed: set a new budget instead.")
        return redirect("budgets:budget", budget.id)
    form = BudgetForm(request.POST or None, initial=initial_of(budget), tenant=request.tenant)
    if request.method == "POST" and form.is_valid():
        try:
            done = change_budget(
                budget_id=budget.id,
                tenant_id=request.tenant.id,
                wanted=form.wanted(),
                version=form.cleaned_data["version"],
                by=request.actor,
            )
        except StaleBudgetError as error:
            budget = budget_for(request, budget_id)
            form.reopen(initial_of(budget), error)
        except RefusedError as error:
            form.refuse(error)
        else:
            passing = " Calls pass again within a second." if done.lifted else ""
            messages.success(request, f"“{done.budget.name}” is {done.budget.amount} a month now.{passing}")
            return redirect("budgets:budget", budget.id)
    context = _form_context(request, form) | {"budget": budget, "standing": standing_of(budget)}
    return render(request, "budgets/edit.html", context, status=422 if form.errors else 200)


def _form_context(request: TenantRequest, form: BudgetForm) -> dict[str, Any]:
    """Which calls a hard budget would refuse: those of the tenant's active keys, by environment."""
    keys = ApiKey.objects.filter(tenant=request.tenant, status=ApiKey.Status.ACTIVE)
    by_env = [(name, keys.filter(env=name).count()) for name in settings.SPENDOPS.environments]
    return {"form": form, "keys_by_env": by_env}


@needs(Permission.BUDGETS_VIEW)
@require_safe
def detail(request: HttpRequest, budget_id: str) -> HttpResponse:
    """One budget: how it stands, how it came there, and what was decided."""
    request = cast(TenantRequest, request)
    return render(request, "budgets/budget.html", _detail(request, budget_for(request, budget_id)))


@needs(Permission.BUDGETS_VIEW)
@require_safe
def figures(request: HttpRequest, budget_id: str) -> HttpResponse:
    """The part of a budget's page that changes. 204 while it is what the page has `seen`."""
    request = cast(TenantRequest, request)
    context = _detail(request, budget_for(request, budget_id))
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=NOTHING_NEW)
    return render(request, "budgets/_budget.html", context)


def _detail(request: TenantRequest, budget: Budget) -> dict[str, Any]:
    standing = standing_of(budget)
    decisions, crossings = decisions_of(budget), crossings_of(budget)
    period = standing.period
    return {
        "budget": budget,
        "standing": standing,
        "decisions": decisions,
        "crossings": crossings,
        "periods": periods_of(budget),
        "fails_since": reading_fails_since(),
        "seen": stamp(
            (budget.version, budget.status, len(decisions), [each.announcement for each in crossings]),
            period
            and (
                period.revision,
                period.first_day,
                period.evaluated_at and period.evaluated_at.replace(second=0, microsecond=0),
            ),
        ),
        **_spend(request, standing),
    }


def _spend(request: TenantRequest, standing: Standing) -> dict[str, Any]:
    """The period's spend by day and model, and the chart of it; nothing while ClickHouse does not answer."""
    budget, bounds = standing.budget, standing.bounds
    today = min(today_of(request.tenant), bounds.last_day)
    try:
        rows = daily_spend(
            budget.tenant_id, bounds.first_day, bounds.last_day, group_by="model", envs=tuple(budget.envs)
        )
    except UnavailableError:
        return {"unavailable": True}
    spend: Stack = stack(
        (row for row in rows if row.day <= today), bounds.first_day, today, {}, unnamed=unnamed("model")
    )
    chart = against_limit(spend, limit=budget.limit, today=today, axis_last=bounds.last_day)
    return {"spend": spend, "chart": chart, "table": _table(spend)}


def _table(spend: Stack) -> list[dict[str, Any]]:
    """What the chart shows, as figures: each day's spend and the running total."""
    running = [each.cumulative() for each in spend.series]
    totals = [sum(column) for column in zip(*running, strict=True)] or [0] * len(spend.days)
    rows = zip(spend.days, spend.day_totals, totals, strict=True)
    return [{"day": day, "spent": spent, "total": total} for day, spent, total in rows][::-1]


@needs(Permission.BUDGETS_CHANGE)
@post_or_page("budgets:budget", "budget_id")
@step_up_required(bound=True)
def archive(request: HttpRequest, budget_id: str) -> HttpResponse:
    """End a budget."""
    request = cast(TenantRequest, request)
    budget = budget_for(request, budget_id)
    try:
        archive_budget(budget_id=budget.id, tenant_id=request.tenant.id, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
        return redirect("budgets:budget", budget.id)
    messages.success(request, f"“{budget.name}” is archived: it counts and refuses nothing any more.")
    return redirect("budgets:list")
