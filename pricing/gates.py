"""The only way to an override that a request names. Whoever may not see it gets the same 404 as for none."""

from __future__ import annotations

from django.http import Http404

from pricing.models import Override
from tenants.http import TenantRequest


def override_for(request: TenantRequest, override_id: str) -> Override:
    """The override with this id, if it is the request's tenant's. Raises Http404."""
    found = Override.objects.filter(tenant=request.tenant, pk=override_id).select_related("project").first()
    if found is None:
        raise Http404("There is nothing at this address.")
    return found
