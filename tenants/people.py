"""Reads about people in tenants: who is a member, who is invited, and whose sessions may last longer."""

from __future__ import annotations

from access.models import User
from tenants.models import Membership
from tenants.permissions import Role

ADMINS = frozenset({Role.PLATFORM_ADMIN.value, Role.TENANT_ADMIN.value})


def is_reader(user: User) -> bool:
    """Whether somebody has a role somewhere and is an admin nowhere: then a session may last longer."""
    roles = set(Membership.objects.filter(user=user).values_list("role", flat=True))
    return bool(roles) and not roles & ADMINS
