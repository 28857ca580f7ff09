"""Reads about tenants, their projects, keys and members."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import QuerySet

from access.models import User
from tenants.models import Membership, ServiceToken, Tenant
from tenants.permissions import Role
from tenants.scope import across_tenants


class Standing(NamedTuple):
    """Where a person stands: the tenant that is looked at and the membership that allows it."""

    tenant: Tenant
    membership: Membership
    roles: frozenset[str]

    @property
    def platform_admin(self) -> bool:
        """Whether the person looks after the whole installation, whatever the role in this tenant."""
        return Role.PLATFORM_ADMIN in self.roles


_REMEMBERED = "memberships_of_this_request"


def memberships_of(user: User) -> list[Membership]:
    """A person's memberships, the oldest first, each with its tenant."""
    found: list[Membership] | None = getattr(user, _REMEMBERED, None)
    return _memberships_now(user) if found is None else found


def remembered_memberships(user: User) -> list[Membership]:
    """The same, read anew and kept with this very object: each request has one of its own, and asks several times."""
    found = _memberships_now(user)
    setattr(user, _REMEMBERED, found)
    return found


def _memberships_now(user: User) -> list[Membership]:
    return list(Membership.objects.filter(user=user).select_related("tenant").order_by("created_at", "id"))


def standing_of(user: User, *, chosen: str = "") -> Standing | None:
    """The tenant that a person looks at: the chosen one while that is allowed, else that of the first membership.

    A platform admin may choose any tenant. None when the person belongs to no tenant.
    """
    memberships = memberships_of(user)
    platform = next((each for each in memberships if each.role == Membership.Role.PLATFORM_ADMIN), None)
    own = [each for each in memberships if each.tenant is not None]
    for each in own:
        if each.tenant_id == chosen and each.tenant is not None:
            return _standing(each.tenant, each, memberships)
    if platform is not None:
        tenant = Tenant.objects.filter(id=chosen).first() if chosen else None
        if tenant is None and not own:
            tenant = Tenant.objects.order_by("created_at", "id").first()
        if tenant is not None:
            return _standing(tenant, platform, memberships)
    for each in own:
        if each.tenant is not None:
            return _standing(each.tenant, each, memberships)
    return None


def _standing(tenant: Tenant, membership: Membership, memberships: list[Membership]) -> Standing:
    """With every role that counts in this tenant: those in it, and that of a platform admin."""
    return Standing(tenant, membership, frozenset(each.role for each in memberships if each.tenant in (None, tenant)))


def tenants_of(user: User) -> list[Tenant]:
    """The tenants that a person may choose, by name: all of them for a platform admin."""
    memberships = memberships_of(user)
    if any(each.role == Membership.Role.PLATFORM_ADMIN for each in memberships):
        return list(Tenant.objects.order_by("name"))
    found = {each.tenant.id: each.tenant for each in memberships if each.tenant is not None}
    return sorted(found.values(), key=lambda tenant: tenant.name)


def users_in(tenant: Tenant) -> list[User]:
    """The active people who have a role in a tenant, by name and address."""
    ids = Membership.objects.filter(tenant=tenant).values("user_id")
    return list(User.objects.filter(id__in=ids, is_active=True).order_by("name", "email"))


def service_tokens_of(tenant: Tenant) -> QuerySet[ServiceToken]:
    """A tenant's service tokens, the newest first, those that ended too."""
    return ServiceToken.objects.filter(tenant=tenant).order_by("-created_at", "-id")


def platform_tokens() -> list[ServiceToken]:
    """The service tokens of every tenant, the newest first: for platform admins."""
    with across_tenants("these belong to no tenant"):
        return list(ServiceToken.objects.filter(tenant=None).order_by("-created_at", "-id"))
