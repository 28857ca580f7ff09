"""What an alert says, gathered once and then worded for each kind of channel."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import structlog
from django.conf import settings
from django.urls import reverse

from alerts.models import Delivery
from budgets.models import Budget, BudgetPeriod, Crossing
from budgets.rules import effect_at_limit, local_moment, percent_used
from spend.clickhouse.errors import ClickHouseError
from spend.queries.daily import daily_spend
from tenants.models import Tenant
from wire import display

logger = structlog.get_logger(__name__)

DRIVERS = 3


@dataclass(frozen=True)
class Driver:
    """What a model's calls cost in the period, and their share of the budget's spend."""

    name: str
    charge: Decimal  # USD
    share: Decimal

    @property
    def words(self) -> str:
        return f"{display.usd(self.charge)} ({display.percent(self.share)})"


@dataclass(frozen=True)
class Alert:
    """One alert, in figures and in sentences that every channel uses."""

    id: str  # such as "crossing:12": one delivery per channel
    kind: Delivery.Kind
    tenant: str
    title: str
    summary: str
    url: str
    channels_url: str
    used: str = ""
    limit: str = ""
    percent: int = 0
    period: str = ""
    effect: str = ""
    data_to: str = ""
    drivers: tuple[Driver, ...] = ()
    drivers_known: bool = True
    exhausted: bool = False
    crossing: Crossing | None = None

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Label and value of what a message lists."""
        rows = [
            ("Used", f"{self.used} of {self.limit} ({display.count(self.percent)}%)" if self.used else ""),
            ("Period", self.period),
            ("Counted up to", self.data_to),
        ]
        return [(label, value) for label, value in rows if value]


def alert_of(crossing: Crossing) -> Alert:
    """The alert of a crossing, with its figures as they were then. Asks ClickHouse for the drivers."""
    budget: Budget = crossing.budget
    tenant: Tenant = budget.tenant
    period = BudgetPeriod.objects.get(budget=budget, first_day=crossing.first_day)
    percent = percent_used(crossing.spent, crossing.limit)
    used, limit = display.usd_exact(crossing.spent), display.usd_exact(crossing.limit)
    exhausted = crossing.spent >= crossing.limit
    recovered = crossing.kind == Crossing.Kind.RECOVERED
    drivers = () if recovered else drivers_of(budget, period)
    if recovered:
        title = f"Budget “{budget.name}” has recovered"
        summary = f"{crossing.cause}. " + ("Calls pass again." if budget.is_hard else "It is below its limit again.")
        effect = ""
    else:
        title = (
            f"Budget “{budget.name}” is used up ({display.count(percent)}%)"
            if exhausted
            else f"Budget “{budget.name}”: {display.count(percent)}% used"
        )
        summary = (
            f"The budget “{budget.name}” of {tenant.name} is used up: {used} of {limit}."
            if exhausted
            else f"The budget “{budget.name}” of {tenant.name} has reached {crossing.threshold}% of {limit}."
        )
        resets = local_moment(period.ends_at, period.time_zone)
        effect = effect_at_limit(hard=budget.is_hard, envs=budget.envs, resets=resets, exhausted=exhausted)
    return Alert(
        id=f"crossing:{crossing.pk}",
        kind=Delivery.Kind.RECOVERED if recovered else Delivery.Kind.THRESHOLD,
        tenant=tenant.name,
        title=title,
        summary=summary,
        url=settings.PUBLIC_URL + reverse("budgets:budget", args=[budget.id]),
        channels_url=channels_url(),
        used=used,
        limit=limit,
        percent=percent,
        period=f"{display.days(period.first_day, period.last_day)}, {period.time_zone}",
        effect=effect,
        data_to=display.moment(crossing.data_to, period.time_zone) if crossing.data_to else "",
        drivers=drivers or (),
        drivers_known=drivers is not None,
        exhausted=exhausted and not recovered,
        crossing=crossing,
    )


def trial_alert(tenant: Tenant, *, channel_name: str, nonce: str, at: datetime) -> Alert:
    """A message that shows that a channel works."""
    return Alert(
        id=f"test:{nonce}",
        kind=Delivery.Kind.TEST,
        tenant=tenant.name,
        title=f"Test of the channel “{channel_name}”",
        summary=f"Alerts of {tenant.name} arrive here. Asked for on {display.moment(at, tenant.time_zone)}.",
        url=channels_url(),
        channels_url=channels_url(),
    )


def drivers_of(budget: Budget, period: BudgetPeriod) -> tuple[Driver, ...] | None:
    """The models that cost most in a period; None when ClickHouse does not answer, because an alert does not wait."""
    try:
        rows = daily_spend(
            budget.tenant_id, period.first_day, period.last_day, group_by="model", envs=tuple(budget.envs)
        )
    except ClickHouseError as error:
        logger.warning("an alert goes out without its drivers", budget=budget.id, error=str(error))
        return None
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row.group] += row.charge
    total = sum(sums.values(), Decimal(0))
    ranked = sorted((name for name in sums if sums[name]), key=lambda name: (-sums[name], name))
    return tuple(Driver(name or "unknown model", sums[name], sums[name] / total) for name in ranked[:DRIVERS])


def channels_url() -> str:
    """The page on which a tenant says where its alerts go."""
    return str(settings.PUBLIC_URL) + reverse("alerts:channels")
