"""The only way to a budget that a request names. Whoever may not see it gets the same 404 as for none."""

from __future__ import annotations

from django.http import Http404

from budgets.models import Budget
from tenants.http import TenantRequest


def budget_for(request: TenantRequest, budget_id: str) -> Budget:
    """The budget with this id, if the request's tenant owns it. Raises Http404."""
    budget = Budget.objects.filter(tenant=request.tenant, id=budget_id).select_related("tenant").first()
    if budget is None:
        raise Http404("There is nothing at this address.")
    return budget
