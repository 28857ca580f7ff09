"""A tenant's monthly budget as the limit that the spend page draws a pace to."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.urls import reverse

from budgets.models import Budget
from spend.limits import Limit
from spend.periods import month_end
from tenants.scope import tenant_scope
from wire.money import decimal_from_pico


def month_limit(tenant_id: str, first: date, last: date) -> Limit | None:
    """The lowest active budget over all of a tenant's spend in a calendar month; None for other days."""
    if first.day != 1 or last != month_end(first):
        return None
    with tenant_scope(tenant_id):
        budgets = Budget.objects.filter(status=Budget.Status.ACTIVE, period=Budget.Period.MONTHLY)
        whole = [budget for budget in budgets.select_related("tenant") if not budget.envs]
    found = [
        Limit(
            budget.name,
            Decimal(decimal_from_pico(budget.limit)),
            reverse("budgets:budget", args=[budget.id]),
            "then calls are refused" if budget.is_hard else "then people are told",
        )
        for budget in whole
    ]
    return min(found, key=lambda limit: limit.amount, default=None)
