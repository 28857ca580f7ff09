"""The only ways to an object of a tenant that a request names. Whoever may not see it gets the same 404 as for none."""

from __future__ import annotations

from django.http import Http404

from tenants.http import TenantRequest
from tenants.models import ApiKey, Project, Tenant
from tenants.queries import tenants_of

_NOT_THERE = "There is nothing at this address."


def api_key_for(request: TenantRequest, key_id: str) -> ApiKey:
    """The key with this public id, if the request's tenant owns it. Raises Http404."""
    key = ApiKey.objects.filter(tenant=request.tenant, id=key_id).select_related("project").first()
    if key is None:
        raise Http404(_NOT_THERE)
    return key


def project_for(request: TenantRequest, project_id: str) -> Project:
    """The project with this id, if the request's tenant owns it. Raises Http404."""
    project = Project.objects.filter(tenant=request.tenant, id=project_id).first()
    if project is None:
        raise Http404(_NOT_THERE)
    return project


def tenant_for(request: TenantRequest, tenant_id: str) -> Tenant:
    """The tenant with this id, if the person who is signed in may look at it. Raises Http404."""
    for tenant in tenants_of(request.user):
        if tenant.id == tenant_id:
            return tenant
    raise Http404(_NOT_THERE)
