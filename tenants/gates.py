"""The only ways to an object of a tenant that a request names. Whoever may not see it gets the same 404 as for none."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404

from access.models import User
from changes.models import AuditEvent
from tenants.http import TenantRequest
from tenants.key_queries import KeyFilter, find_keys
from tenants.models import ApiKey, Invitation, KeyBatch, Project, ServiceToken, Tenant
from tenants.permissions import Permission
from tenants.queries import platform_tokens, tenants_of

_OF_EVERY_KEY = frozenset({Permission.KEYS_VIEW, Permission.KEYS_ISSUE, Permission.KEYS_CHANGE, Permission.KEYS_REVOKE})
_NOT_THERE = "There is nothing at this address."


def api_key_for(request: TenantRequest, key_id: str) -> ApiKey:
    """The key with this public id, if the request's tenant has it and the person may see it. Raises Http404."""
    key = find_keys(request.tenant, KeyFilter(owner=owner_seen(request))).filter(id=key_id).first()
    if key is None:
        raise Http404(_NOT_THERE)
    return key


def key_batch_for(request: TenantRequest, batch_id: str) -> KeyBatch:
    """The change of many keys with this id, if it was made in the request's tenant. Raises Http404."""
    batch = KeyBatch.objects.filter(tenant=request.tenant, id=batch_id).defer("keys").first()
    if batch is None:
        raise Http404(_NOT_THERE)
    return batch


def owner_seen(request: TenantRequest) -> str:
    """Whose keys the caller may see: "" for everybody's, else the person's own."""
    return "" if _OF_EVERY_KEY & request.permissions else str(request.user.pk)


def keys_seen(request: TenantRequest) -> frozenset[str] | None:
    """The ids of the keys whose usage the person may see: None for every key's, else those that the person owns."""
    if Permission.SPEND_VIEW in request.permissions:
        return None
    own = find_keys(request.tenant, KeyFilter(owner=str(request.user.pk)))
    return frozenset(own.values_list("id", flat=True))


def project_for(request: TenantRequest, project_id: str) -> Project:
    """The project with this id, if the request's tenant owns it. Raises Http404."""
    project = Project.objects.filter(tenant=request.tenant, id=project_id).first()
    if project is None:
        raise Http404(_NOT_THERE)
    return project


def service_token_for(request: TenantRequest, token_id: str) -> ServiceToken:
    """The service token with this id, if the request's tenant owns it. Raises Http404.

    A platform admin's are those of every tenant, too.
    """
    token = ServiceToken.objects.filter(tenant=request.tenant, id=token_id).first()
    if token is None and request.platform_admin:
        token = next((each for each in platform_tokens() if each.id == token_id), None)
    if token is None:
        raise Http404(_NOT_THERE)
    return token


def tenant_for(request: TenantRequest, tenant_id: str) -> Tenant:
    """The tenant with this id, if the person who is signed in may look at it. Raises Http404."""
    for tenant in tenants_of(request.user):
        if tenant.id == tenant_id:
            return tenant
    raise Http404(_NOT_THERE)


def tenants_managed(request: TenantRequest) -> QuerySet[Tenant]:
    """The tenants that the caller may look after: every one, or the caller's own."""
    return Tenant.objects.all() if may_manage_all(request) else Tenant.objects.filter(pk=request.tenant.pk)


def may_manage_all(request: TenantRequest) -> bool:
    """Whether the caller is a platform admin, or a token of all tenants."""
    token = getattr(request, "service_token", None)
    return request.platform_admin or (token is not None and token.tenant_id is None)


def managed_tenant_for(request: TenantRequest, tenant_id: str) -> Tenant:
    """The tenant with this id, if the caller may look after it. Raises Http404."""
    tenant = tenants_managed(request).filter(id=tenant_id).first()
    if tenant is None:
        raise Http404(_NOT_THERE)
    return tenant


def audit_event_for(request: TenantRequest, event_id: int) -> AuditEvent:
    """The audit event with this id, of the request's tenant; any for a platform admin. Raises Http404."""
    event = AuditEvent.objects.filter(id=event_id).first()
    if event is None or not (request.platform_admin or event.tenant_id == request.tenant.id):
        raise Http404(_NOT_THERE)
    return event


def member_for(request: TenantRequest, user_id: str) -> User:
    """The person with this id, if a member of the request's tenant. Raises Http404."""
    user = User.objects.filter(memberships__tenant=request.tenant, id=user_id).first()
    if user is None:
        raise Http404(_NOT_THERE)
    return user


def invitation_for(request: TenantRequest, invitation_id: str) -> Invitation:
    """The invitation with this id, if the request's tenant made it. Raises Http404."""
    invitation = Invitation.objects.filter(tenant=request.tenant, id=invitation_id).first()
    if invitation is None:
        raise Http404(_NOT_THERE)
    return invitation
