"""Every change that people make to budgets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from budgets.converting import convert, rate_day_in
from budgets.deciding import Reading, apply_reading, decide, open_period, standing_thresholds
from budgets.errors import InvalidBudgetError, NoSuchBudgetError, StaleBudgetError
from budgets.models import Budget, BudgetPeriod, Decision, default_thresholds
from budgets.rules import checked_amount, checked_envs, checked_name, checked_thresholds, month_of
from changes.actor import Actor
from changes.record import Publish, Topic, record
from tenants.actions.standing import hold_open
from tenants.actions.versions import changed_by
from tenants.models import Tenant
from tenants.scope import tenant_scope


@dataclass(frozen=True)
class Settings:
    """What a person says about a budget, as it was typed; None leaves what is there, or takes the default."""

    name: str
    amount: str
    currency: str | None = None
    enforcement: str | None = None
    thresholds: Iterable[int | str] | None = None
    envs: Iterable[str] | None = None


@dataclass(frozen=True)
class SetBudget:
    """What a change came to."""

    budget: Budget
    created: bool = False
    raised: bool = False
    lifted: bool = False  # calls that were refused pass again


def set_budget(*, tenant: Tenant, wanted: Settings, by: Actor, now: datetime | None = None) -> SetBudget:
    """Create the tenant's budget of this name, or change the one that is there. Raises RefusedError."""
    with tenant_scope(tenant.id), transaction.atomic():
        found = Budget.objects.filter(name=checked_name(wanted.name), status=Budget.Status.ACTIVE).first()
        if found is None:
            return create_budget(tenant=tenant, wanted=wanted, by=by, now=now)
        return change_budget(budget_id=found.id, tenant_id=tenant.id, wanted=wanted, by=by, now=now)


def create_budget(*, tenant: Tenant, wanted: Settings, by: Actor, now: datetime | None = None) -> SetBudget:
    """A new budget, with its current period. Raises RefusedError."""
    now = now or timezone.now()
    budget = Budget(tenant=tenant, thresholds=default_thresholds())
    _take_over(budget, wanted)
    convert(budget, month_of(now, tenant.time_zone).first_day)
    with tenant_scope(tenant.id), transaction.atomic():
        hold_open(tenant.id)
        _save(budget, new=True)
        open_period(budget, at=now, by=by)
        decide(budget, Decision.What.CREATED, f"Set to {_worded(budget)}.", at=now, spent=None)
        record(
            "budget.created",
            by=by,
            tenant=tenant.id,
            target_kind="budget",
            target_id=budget.id,
            after=_described(budget),
        )
    return SetBudget(budget, created=True)


def change_budget(
    *,
    budget_id: str,
    tenant_id: str,
    wanted: Settings,
    by: Actor,
    version: int | None = None,
    now: datetime | None = None,
) -> SetBudget:
    """Change a budget and decide anew at once, from the spend that is known, so that a raise lifts its block now.

    `version` is the one that the person saw. Raises StaleBudgetError when it is no longer that, and RefusedError.
    """
    now = now or timezone.now()
    with tenant_scope(tenant_id), transaction.atomic():
        budget = _locked(budget_id)
        if version is not None and version != budget.version:
            raise StaleBudgetError(
                f"“{budget.name}” was changed after you opened it. Look at what it says now, then change it again.",
                changed_by=changed_by("budget", budget.id, budget.version - version),
            )
        hold_open(tenant_id)
        before, old_limit, was_hard, currency = _described(budget), budget.limit, budget.is_hard, budget.currency
        _take_over(budget, wanted)
        if _described(budget) == before:
            return SetBudget(budget)
        first_day = month_of(now, budget.tenant.time_zone).first_day
        convert(budget, rate_day_in(budget, first_day) if budget.currency == currency else first_day)
        budget.version += 1
        _save(budget, new=False)
        raised = budget.limit > old_limit
        # Locked, so that an evaluator at work waits here, then finds its reading overtaken.
        period = BudgetPeriod.objects.select_for_update().get(pk=open_period(budget, at=now, by=by).pk)
        was_blocking = was_hard and period.exhausted_at is not None
        decide(budget, Decision.What.CHANGED, f"Set to {_worded(budget)}.", at=now, spent=period.spent)
        verdict = apply_reading(
            budget,
            period,
            Reading.last_of(period),
            standing=standing_thresholds(period),
            at=now,
            by=by,
            cause=f"The limit is {budget.amount} now",
        )
        blocking = budget.is_hard and verdict is not None and verdict.exhausted
        record(
            "budget.raised" if raised else "budget.changed",
            by=by,
            tenant=tenant_id,
            target_kind="budget",
            target_id=budget.id,
            before=before,
            after=_described(budget),
            publish=[Publish(Topic.TENANT, tenant_id, urgent=blocking)] if was_hard or budget.is_hard else [],
        )
    return SetBudget(budget, raised=raised, lifted=was_blocking and not blocking)


def archive_budget(
    *, budget_id: str, tenant_id: str, by: Actor, version: int | None = None, now: datetime | None = None
) -> Budget:
    """End a budget: it counts and refuses nothing any more, and its history stays. Raises RefusedError."""
    now = now or timezone.now()
    with tenant_scope(tenant_id), transaction.atomic():
        budget = _locked(budget_id)
        if version is not None and version != budget.version:
            raise StaleBudgetError(f"“{budget.name}” was changed after you opened it. Look at it again first.")
        hold_open(tenant_id)
        budget.status = Budget.Status.ARCHIVED
        budget.version += 1
        _save(budget, new=False)
        decide(budget, Decision.What.ARCHIVED, "Archived: it counts and refuses nothing any more.", at=now, spent=None)
        record(
            "budget.archived",
            by=by,
            tenant=tenant_id,
            target_kind="budget",
            target_id=budget.id,
            before=_described(budget),
            publish=[Publish(Topic.TENANT, tenant_id)] if budget.is_hard else [],
        )
    return budget


def _take_over(budget: Budget, wanted: Settings) -> None:
    budget.name = checked_name(wanted.name)
    budget.amount_micro = checked_amount(wanted.amount)
    budget.currency = (wanted.currency or budget.currency).upper()
    if wanted.enforcement is not None:
        if wanted.enforcement not in Budget.Enforcement.values:
            raise InvalidBudgetError("A budget is either soft or hard.", field="enforcement")
        budget.enforcement = wanted.enforcement
    given = budget.thresholds if wanted.thresholds is None else wanted.thresholds
    budget.thresholds = checked_thresholds(given, hard=budget.is_hard)
    if wanted.envs is not None:
        budget.envs = checked_envs(wanted.envs, settings.SPENDOPS.environments)


def _locked(budget_id: str) -> Budget:
    # no_key: an evaluator that is inserting a crossing holds the weaker lock of its foreign key on this row.
    rows = Budget.objects.select_for_update(of=("self",), no_key=True).select_related("tenant")
    budget = rows.filter(id=budget_id).first()
    if budget is None or budget.status == Budget.Status.ARCHIVED:
        raise NoSuchBudgetError("There is no such budget, or it is archived.")
    return budget


def _save(budget: Budget, *, new: bool) -> None:
    try:
        with transaction.atomic():
            budget.save(force_insert=new)
    except IntegrityError as error:
        raise InvalidBudgetError(
            f"There is a budget named “{budget.name}” already: choose another name, or change that one.", field="name"
        ) from error


def _worded(budget: Budget) -> str:
    envs = ", ".join(budget.envs) or "all environments"
    at = ", ".join(f"{each}%" for each in budget.thresholds)
    return f"{budget.amount} a month, {budget.enforcement}, {envs}, told at {at}"


def _described(budget: Budget) -> dict[str, Any]:
    return {
        "name": budget.name,
        "amount_micro": budget.amount_micro,
        "currency": budget.currency,
        "period": budget.period,
        "enforcement": budget.enforcement,
        "thresholds": budget.thresholds,
        "envs": budget.envs,
    }
