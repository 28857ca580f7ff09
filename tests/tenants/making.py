"""Tenants, projects and keys for tests, made by the product's own actions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from changes.actor import Actor
from tenants.actions.keys import IssuedKey, issue_key
from tenants.actions.projects import archive_project, suspend_project
from tenants.actions.tenants import archive_tenant, create_tenant, suspend_tenant
from tenants.actions.tokens import IssuedToken, issue_token
from tenants.models import Project, Tenant
from tenants.scope import tenant_scope
from tenants.tokens import SCOPES

SOMEBODY = Actor("user", "u_somebody0001", role="tenant_admin", address="192.0.2.7", request_id="request-0001")


def make_tenant(name: str = "Acme", **settings: Any) -> Tenant:
    return create_tenant(name=name, by=SOMEBODY, **settings)


def project_of(tenant: Tenant) -> Project:
    with tenant_scope(tenant.id):
        return Project.objects.get(tenant=tenant)


def project_of_name(tenant: Tenant, name: str) -> Project:
    with tenant_scope(tenant.id):
        return Project.objects.get(name=name)


def issue(tenant: Tenant, name: str = "bot", env: str = "dev", **policy: Any) -> IssuedKey:
    return issue_key(tenant=tenant, project=project_of(tenant), name=name, env=env, by=SOMEBODY, **policy)


def service_token(
    tenant: Tenant | None, *scopes: str, name: str = "Nightly report", confirmed: bool = True, days: int = 30
) -> IssuedToken:
    """A service token with these scopes; without any named, with all."""
    return issue_token(
        tenant=tenant,
        name=name,
        scopes=scopes or [each.value for each in SCOPES],
        expires_at=timezone.now() + timedelta(days=days),
        grantable=SCOPES,
        confirmed=confirmed,
        by=SOMEBODY,
    )


def to_status(thing: Tenant | Project, status: str) -> None:
    """Suspend a tenant or a project, or archive it."""
    if isinstance(thing, Tenant):
        suspend_tenant(tenant=thing, reason="Tried.", by=SOMEBODY)
        if status == "archived":
            archive_tenant(tenant=thing, reason="Tried.", by=SOMEBODY)
    elif status == "archived":
        archive_project(project=thing, reason="Tried.", by=SOMEBODY)
    else:
        suspend_project(project=thing, reason="Tried.", by=SOMEBODY)
