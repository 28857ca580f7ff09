"""What `CurrentTenantMiddleware` adds to a request, as a type that views can name."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from access.models import User
from changes.actor import Actor
from tenants.models import Membership, Tenant
from tenants.permissions import Permission


class TenantRequest(HttpRequest):
    """A request of somebody signed in, inside a tenant. Its rows are in scope while the view runs."""

    id: str
    htmx: HtmxDetails
    user: User
    tenant: Tenant
    membership: Membership
    actor: Actor
    permissions: frozenset[Permission]  # of all the person's roles here, read anew for each request
    platform_admin: bool  # may look after the whole installation, whatever the role in this tenant
