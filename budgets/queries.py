"""Reads about budgets."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from budgets.models import Budget, BudgetPeriod
from budgets.rules import block_message
from tenants.scope import tenant_scope
from wire.documents import Block
from wire.events import Denied


def tenant_block(tenant_id: str, env: str, *, now: datetime | None = None) -> Block | None:
    """Why a tenant's calls are refused in an environment: its hard budget that is used up, None when there is none.

    Of several, the one that ends last, so that a caller is not told to come back too soon. Opens the tenant's scope.
    """
    now = now or timezone.now()
    with tenant_scope(tenant_id):
        periods = (
            BudgetPeriod.objects.filter(
                budget__status=Budget.Status.ACTIVE,
                budget__enforcement=Budget.Enforcement.HARD,
                exhausted_at__isnull=False,
                starts_at__lte=now,
                ends_at__gt=now,
            )
            .select_related("budget")
            .order_by("-ends_at", "budget_id")
        )
        period = next((each for each in periods if each.budget.covers(env)), None)
    if period is None:
        return None
    return Block(
        reason=Denied.BUDGET_EXHAUSTED,
        message=block_message(
            name=period.budget.name,
            spent=period.spent,
            limit=period.budget.limit,
            ends_at=period.ends_at,
            time_zone=period.time_zone,
        ),
        budget=period.budget_id,
        until=int(period.ends_at.timestamp() * 1000),
    )
