"""Reads about budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils import timezone

from budgets.models import Budget, BudgetPeriod, Crossing, Decision
from budgets.rules import Bounds, block_message, effect_at_limit, local_moment, month_of, percent_used, projected
from tenants.models import Tenant
from tenants.scope import across_tenants, tenant_scope
from wire.display import days, usd_exact
from wire.documents import Block
from wire.events import Denied


def tenant_block(tenant_id: str, env: str, *, now: datetime | None = None) -> Block | None:
    """Why a tenant's calls are refused in an environment, None when they are not. See `tenant_blocks`."""
    return tenant_blocks([tenant_id], [env], now=now).get((tenant_id, env))


def tenant_blocks(
    tenant_ids: Sequence[str], environments: Sequence[str], *, now: datetime | None = None
) -> dict[tuple[str, str], Block]:
    """Why calls of tenants are refused, by tenant and environment: a hard budget that is used up.

    Of several, the one that ends last, so that a caller is not told to come back too soon. One query for all.
    """
    now = now or timezone.now()
    blocks: dict[tuple[str, str], Block] = {}
    with across_tenants("the budgets of the tenants that were named"):
        periods = (
            BudgetPeriod.objects.filter(
                tenant_id__in=tenant_ids,
                budget__status=Budget.Status.ACTIVE,
                budget__enforcement=Budget.Enforcement.HARD,
                exhausted_at__isnull=False,
                starts_at__lte=now,
                ends_at__gt=now,
            )
            .select_related("budget")
            .order_by("-ends_at", "budget_id")
        )
        for period in periods:
            for env in environments:
                place = (period.tenant_id, env)
                if place not in blocks and period.budget.covers(env):
                    blocks[place] = _block(period)
    return blocks


def _block(period: BudgetPeriod) -> Block:
    return Block(
        reason=Denied.BUDGET_EXHAUSTED,
        message=block_message(
            name=period.budget.name,
            spent=period.spent,
            limit=period.budget.limit,
            amount="" if period.budget.converted is None else period.budget.amount,
            ends_at=period.ends_at,
            time_zone=period.time_zone,
        ),
        budget=period.budget_id,
        until=int(period.ends_at.timestamp() * 1000),
    )


@dataclass(frozen=True)
class Standing:
    """How a budget stands in its current period."""

    budget: Budget
    bounds: Bounds
    period: BudgetPeriod | None  # None until the evaluator has begun it
    at: datetime

    @property
    def spent(self) -> int:
        """Pico-USD."""
        return self.period.spent if self.period else 0

    @property
    def requests(self) -> int:
        return self.period.requests if self.period else 0

    @property
    def left(self) -> int:
        """Pico-USD, never below zero."""
        return max(0, self.budget.limit - self.spent)

    @property
    def percent(self) -> int:
        return percent_used(self.spent, self.budget.limit)

    @property
    def share(self) -> Decimal:
        """What share of the limit is used; 1 is all."""
        return Decimal(self.spent) / Decimal(self.budget.limit)

    @property
    def time_percent(self) -> int:
        return self.bounds.share_gone(self.at)

    @property
    def time_share(self) -> Decimal:
        return Decimal(self.time_percent) / 100

    @property
    def projected(self) -> int:
        """Pico-USD at the period's end, at the average pace so far."""
        return projected(self.spent, starts_at=self.bounds.starts_at, ends_at=self.bounds.ends_at, at=self.at)

    @property
    def exhausted(self) -> bool:
        return self.spent >= self.budget.limit

    @property
    def over_pace(self) -> bool:
        """Whether the limit will not last until the period's end at this pace."""
        return self.projected > self.budget.limit

    @property
    def kind(self) -> str:
        """How worrying that is: "bad", "warn" or "ok", the names that the pages' components have."""
        if self.exhausted:
            return "bad"
        warned = any(each <= self.percent for each in self.budget.thresholds)
        return "warn" if warned or self.over_pace else "ok"

    @property
    def word(self) -> str:
        """The same in a word or two."""
        if self.exhausted:
            return "Refusing calls" if self.budget.is_hard else "Used up"
        return "At risk" if self.kind == "warn" else "On track"

    @property
    def period_words(self) -> str:
        """The period's days, and the zone in which they begin."""
        return f"{days(self.bounds.first_day, self.bounds.last_day)}, {self.bounds.time_zone}"

    @property
    def says(self) -> str:
        """The bar in words, for whoever does not see it."""
        return (
            f"{self.budget.name}: {usd_exact(self.spent)} of {self.budget.limit_text} used, {self.percent}%; "
            f"{self.time_percent}% of the period is gone."
        )

    @property
    def at_limit(self) -> str:
        """What happens at 100%."""
        return effect_at_limit(
            hard=self.budget.is_hard,
            envs=self.budget.envs,
            resets=local_moment(self.bounds.ends_at, self.bounds.time_zone),
            exhausted=self.exhausted,
        )


def budgets_by_risk(tenant: Tenant, *, now: datetime | None = None) -> list[Standing]:
    """A tenant's active budgets, the most worrying first: used up, then by what is used or will be at this pace."""
    now = now or timezone.now()
    with tenant_scope(tenant.id):
        budgets = list(Budget.objects.filter(status=Budget.Status.ACTIVE).select_related("tenant"))
        current = {
            period.budget_id: period
            for period in BudgetPeriod.objects.filter(budget__in=budgets, starts_at__lte=now, ends_at__gt=now)
        }
    found = [_standing(budget, current.get(budget.id), now) for budget in budgets]
    return sorted(found, key=lambda each: (-_risk(each), each.budget.name))


def standing_of(budget: Budget, *, now: datetime | None = None) -> Standing:
    """How one budget stands now."""
    now = now or timezone.now()
    with tenant_scope(budget.tenant_id):
        period = BudgetPeriod.objects.filter(budget=budget, starts_at__lte=now, ends_at__gt=now).first()
    return _standing(budget, period, now)


def archived_budgets(tenant: Tenant) -> list[Budget]:
    """A tenant's archived budgets, the last changed first."""
    with tenant_scope(tenant.id):
        return list(Budget.objects.filter(status=Budget.Status.ARCHIVED).order_by("-updated_at"))


def crossings_of(budget: Budget, *, most: int = 50) -> list[Crossing]:
    """A budget's crossings, newest first."""
    with tenant_scope(budget.tenant_id):
        return list(Crossing.objects.filter(budget=budget).order_by("-id")[:most])


def decisions_of(budget: Budget, *, most: int = 50) -> list[Decision]:
    """A budget's lines of the ledger, newest first."""
    with tenant_scope(budget.tenant_id):
        return list(Decision.objects.filter(budget=budget).order_by("-id")[:most])


def periods_of(budget: Budget, *, most: int = 13) -> list[BudgetPeriod]:
    """A budget's periods, newest first."""
    with tenant_scope(budget.tenant_id):
        return list(BudgetPeriod.objects.filter(budget=budget).order_by("-first_day")[:most])


def reading_fails_since() -> datetime | None:
    """Since when spend cannot be read; None while it can."""
    with across_tenants("an outage of the spend store concerns all tenants"):
        latest = Decision.objects.filter(budget=None).order_by("-id").first()
    return latest.at if latest and latest.what == Decision.What.NOT_EVALUATED else None


def _standing(budget: Budget, period: BudgetPeriod | None, now: datetime) -> Standing:
    if period is None:
        return Standing(budget, month_of(now, budget.tenant.time_zone), None, now)
    bounds = Bounds(period.first_day, period.last_day, period.starts_at, period.ends_at, period.time_zone)
    return Standing(budget, bounds, period, now)


def _risk(standing: Standing) -> Decimal:
    """Used up weighs most; otherwise the share that is used, or will be."""
    if standing.exhausted:
        return 1000 + standing.share
    return max(standing.share, Decimal(standing.projected) / Decimal(standing.budget.limit))
