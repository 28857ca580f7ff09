"""Reads of saved views: a person sees one's own, and those that are shared with the tenant."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.http import Http404

from access.models import User
from spend.models import DefaultView, SavedView
from tenants.http import TenantRequest
from tenants.models import Tenant
from tenants.permissions import Permission


def views_seen(tenant: Tenant, user: User) -> QuerySet[SavedView]:
    """The views that a person may use, in the order of their names."""
    seen: QuerySet[SavedView] = SavedView.objects.filter(Q(owner=user) | Q(shared=True), tenant=tenant)
    return seen.select_related("owner").order_by("name", "id")


def default_view(tenant: Tenant, user: User) -> SavedView | None:
    """The view that a person begins with; None for the usual."""
    chosen = DefaultView.objects.filter(tenant=tenant, user=user).values("view_id")
    return views_seen(tenant, user).filter(pk__in=chosen).first()


def view_for(request: TenantRequest, view_id: str) -> SavedView:
    """The view with this id, if the person may use it. Raises Http404."""
    view = views_seen(request.tenant, request.user).filter(pk=view_id).first()
    if view is None:
        raise Http404("There is nothing at this address.")
    return view


def may_change(request: TenantRequest, view: SavedView) -> bool:
    """One's own; and what is shared by whoever looks after the tenant, as its owner may have left."""
    return view.owner_id == request.user.pk or (view.shared and Permission.SETTINGS_CHANGE in request.permissions)


def may_share(request: TenantRequest) -> bool:
    """Whoever sees all of the tenant's spend. A view has no figures, but it may name what others use."""
    return Permission.SPEND_VIEW in request.permissions
