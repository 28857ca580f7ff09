"""What `CurrentTenantMiddleware` adds to a request, as a type that views can name."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from access.models import User
from changes.actor import Actor
from tenants.models import Membership, Tenant


class TenantRequest(HttpRequest):
    """A request of somebody signed in, inside a tenant. Its rows are in scope while the view runs."""

    id: str
    htmx: HtmxDetails
    user: User
    tenant: Tenant
    membership: Membership
    actor: Actor
    platform_admin: bool  # may look after the whole installation, whatever the role in this tenant
