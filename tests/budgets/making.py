"""Budgets for tests, made by the product's own actions, and spend under a test's control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from budgets.actions import Settings, create_budget
from budgets.models import Budget, BudgetPeriod, Crossing, Decision
from changes.actor import Actor
from changes.models import OutboxRow
from spend.queries.windows import Spent, Window
from tenants.models import Tenant
from tenants.scope import across_tenants

SOMEBODY = Actor("user", "u_somebody0001", role="tenant_admin", address="192.0.2.7", request_id="request-0001")
NOON = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)  # 12:00 in Asia/Kolkata


@dataclass
class Ledger:
    """What was spent, by budget: the evaluator's reader, with every question kept."""

    pico: dict[str, int] = field(default_factory=dict)
    requests: int = 3
    data_to: datetime | None = NOON
    asked: list[Sequence[Window]] = field(default_factory=list)

    def __call__(self, windows: Sequence[Window]) -> Mapping[str, Spent]:
        self.asked.append(windows)
        return {
            window.id: Spent(charge=self.pico.get(window.id, 0), requests=self.requests, data_to=self.data_to)
            for window in windows
        }


def make_budget(
    tenant: Tenant, amount: str = "0.0001", *, name: str = "First", now: datetime | None = NOON, **settings: Any
) -> Budget:
    """A hard budget, unless it is told otherwise."""
    wanted = Settings(name=name, amount=amount, **{"enforcement": "hard", **settings})
    return create_budget(tenant=tenant, wanted=wanted, by=SOMEBODY, now=now).budget


def period_of(budget: Budget) -> BudgetPeriod:
    with across_tenants("a test looks"):
        return BudgetPeriod.objects.filter(budget=budget).latest("first_day")


def crossings(budget: Budget) -> list[tuple[str, int, str]]:
    """Kind, threshold and announcement of the crossings that stand, in the order they were written."""
    with across_tenants("a test looks"):
        rows = Crossing.objects.filter(budget=budget, undone_at=None).order_by("id")
        return [(row.kind, row.threshold, row.announcement) for row in rows]


def decisions(budget: Budget | None) -> list[str]:
    with across_tenants("a test looks"):
        return list(Decision.objects.filter(budget=budget).order_by("id").values_list("what", flat=True))


def published() -> list[str]:
    """The objects that wait to be published, and forget them."""
    rows = [f"{row.topic}:{row.object_id}" for row in OutboxRow.objects.order_by("id")]
    OutboxRow.objects.all().delete()
    return rows
