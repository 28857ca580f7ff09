"""Which budgets would not last if prices were others."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from budgets.queries import Standing, budgets_by_risk
from spend.what_if import WhatIf
from tenants.models import Tenant

TENANTS_MOST = 200  # of those whose spend rises the most
_SECOND = timedelta(seconds=1)


class Strain(NamedTuple):
    """A budget that is over its limit at the period's end with other prices. Amounts in pico-USD.

    `with_prices` is what it is projected to then: at the pace so far, and for the rest of the period what the prices
    would have added to as many days of the last 30.
    """

    tenant: Tenant
    standing: Standing
    with_prices: int

    @property
    def breaks(self) -> bool:
        """Whether it is the prices that break it: without them it lasts."""
        return not self.standing.over_pace and not self.standing.exhausted


def strained_by(answer: WhatIf) -> list[Strain]:
    """The budgets that would be over, those that only the prices break first, by how far."""
    rising = [name for name, line in answer.together(lambda line: line.tenant) if line.difference > 0]
    tenants = Tenant.objects.in_bulk(rising[:TENANTS_MOST])
    found = [
        Strain(tenant, standing, with_prices)
        for tenant in tenants.values()
        for standing in budgets_by_risk(tenant, now=answer.end)
        if (with_prices := _projected(standing, answer)) > standing.budget.limit
    ]
    return sorted(found, key=lambda each: (not each.breaks, each.standing.budget.limit - each.with_prices))


def _projected(standing: Standing, answer: WhatIf) -> int:
    budget = standing.budget
    added = sum(line.difference for line in answer.lines if line.tenant == budget.tenant_id and budget.covers(line.env))
    left = max(0, (standing.bounds.ends_at - answer.end) // _SECOND)
    return standing.projected + added * left // ((answer.end - answer.begin) // _SECOND)
