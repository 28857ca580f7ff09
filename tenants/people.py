"""Reads about people in tenants: who is a member, who is invited, and whose sessions may last longer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from access.models import User
from access.rules import token_hash
from tenants.models import Invitation, Membership, Tenant
from tenants.permissions import Permission, Role, permissions_of
from tenants.queries import remembered_memberships
from tenants.scope import across_tenants

ADMINS = frozenset({Role.PLATFORM_ADMIN.value, Role.TENANT_ADMIN.value})


def is_reader(user: User) -> bool:
    """Whether somebody has a role somewhere and is an admin nowhere: then a session may last longer."""
    roles = {each.role for each in remembered_memberships(user)}
    return bool(roles) and not roles & ADMINS


@dataclass(frozen=True)
class Member:
    """Somebody in a tenant. `only_here`: has no role in any other tenant nor in the installation."""

    user: User
    role: Role
    since: datetime
    passkeys: int
    last_used_at: datetime | None
    only_here: bool


def members_of(tenant: Tenant) -> list[Member]:
    """A tenant's members by name, each with what lets them sign in."""
    working = Q(user__passkey__confirmed=True)
    rows = (
        Membership.objects.filter(tenant=tenant)
        .select_related("user")
        .annotate(passkeys=Count("user__passkey", filter=working, distinct=True))
        .annotate(last_used_at=Max(Coalesce("user__passkey__last_used_at", "user__passkey__created_at")))
        .order_by("created_at", "id")
    )
    elsewhere = set(
        Membership.objects.filter(user__in=[row.user_id for row in rows])
        .exclude(tenant__isnull=False, tenant=tenant)
        .values_list("user_id", flat=True)
    )
    found: dict[str, Member] = {}
    for row in rows:
        found.setdefault(
            row.user_id,
            Member(
                user=row.user,
                role=Role(row.role),
                since=row.created_at,
                passkeys=row.passkeys,
                last_used_at=row.last_used_at,
                only_here=row.user_id not in elsewhere,
            ),
        )
    return sorted(found.values(), key=lambda member: str(member.user).casefold())


def invitations_of(tenant: Tenant, *, most: int = 50) -> list[Invitation]:
    """A tenant's invitations, the newest first, each with who invited."""
    return list(
        Invitation.objects.filter(tenant=tenant).select_related("invited_by", "tenant").order_by("-created_at")[:most]
    )


def live_invitation(token: str) -> Invitation | None:
    """The invitation that a link's token opens. None when it is used, revoked or expired, or when whoever invited may
    not grant its role any more.
    """
    with across_tenants("whoever is invited belongs to no tenant yet"):
        found = (
            Invitation.objects.select_related("tenant", "invited_by")
            .filter(token_sha256=token_hash(token), accepted_at=None, revoked_at=None, expires_at__gt=timezone.now())
            .exclude(tenant__status=Tenant.Status.ARCHIVED)
            .first()
        )
    return found if found is not None and may_invite(found.invited_by, found.tenant) else None


def may_invite(user: User, tenant: Tenant) -> bool:
    """Whether somebody may, just now, make others members of a tenant."""
    roles = (
        Membership.objects.filter(user=user).filter(Q(tenant=tenant) | Q(tenant=None)).values_list("role", flat=True)
    )
    return user.is_active and Permission.MEMBERS_CHANGE in permissions_of(roles)
