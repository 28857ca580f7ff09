"""Members of a tenant: their role changed, removed, given a new way to sign in."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from access.actions import IssuedLink, issue_enrolment_link
from access.models import EnrolmentLink, User
from changes.actor import Actor
from changes.record import record
from tenants.actions.standing import hold_open
from tenants.errors import InvalidSettingError, StatusError
from tenants.models import Membership, Tenant
from tenants.permissions import Role
from tenants.roles import TENANT_ROLES

LINK_LIFETIME = timedelta(minutes=30)


def clean_role(role: str) -> Role:
    """A role that somebody can have in a tenant. Raises RefusedError."""
    if role not in TENANT_ROLES:
        raise InvalidSettingError("Choose one of the roles.", field="role")
    return Role(role)


def grant_membership(*, tenant: Tenant, user: User, role: Role, by: Actor) -> Membership:
    """Make somebody a member. Raises StatusError for who is one already."""
    with transaction.atomic():
        hold_open(tenant.id)
        if Membership.objects.filter(tenant=tenant, user=user).exists():
            raise StatusError(f"{user} is a member of “{tenant.name}” already.")
        membership = Membership.objects.create(tenant=tenant, user=user, role=role)
        _record("membership.granted", tenant, user, by=by, after=role)
    return membership


def change_role(*, tenant: Tenant, user: User, role: str, by: Actor) -> None:
    """Give a member another role, from the next request on. The same role changes nothing. Raises RefusedError."""
    new = clean_role(role)
    with transaction.atomic():
        hold_open(tenant.id)
        before = _role_of(tenant, user)
        if before == new:
            return
        _leave_an_admin(tenant, user, unless=new == Role.TENANT_ADMIN)
        first, *more = Membership.objects.filter(tenant=tenant, user=user).order_by("created_at", "id")
        Membership.objects.filter(pk__in=[each.pk for each in more]).delete()
        Membership.objects.filter(pk=first.pk).update(role=new)
        _record("membership.changed", tenant, user, by=by, before=before, after=new)


def remove_member(*, tenant: Tenant, user: User, by: Actor) -> None:
    """Take a member's role away, from the next request on. The account stays. Raises StatusError."""
    with transaction.atomic():
        _one_at_a_time(tenant)
        before = _role_of(tenant, user)
        _leave_an_admin(tenant, user)
        Membership.objects.filter(tenant=tenant, user=user).delete()
        _record("membership.revoked", tenant, user, by=by, before=before)


def issue_member_link(*, tenant: Tenant, user: User, by: Actor) -> IssuedLink:
    """A one-time link for a member who has lost every passkey. Raises StatusError for who is somebody elsewhere, too:
    one tenant's admin must not get into another tenant this way.
    """
    with transaction.atomic():
        _role_of(tenant, user)
        if Membership.objects.filter(user=user).exclude(tenant__isnull=False, tenant=tenant).exists():
            raise StatusError(
                f"{user} has a role outside this tenant, too, so no admin of one tenant can make a link. "
                "A recovery code works, and so does a platform admin's help on the host."
            )
        return issue_enrolment_link(user=user, purpose=EnrolmentLink.Purpose.RECOVERY, lifetime=LINK_LIFETIME, by=by)


def _one_at_a_time(tenant: Tenant) -> None:
    """Of two admins who remove each other at once, the second must see what the first did."""
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)


def _role_of(tenant: Tenant, user: User) -> str:
    membership = Membership.objects.filter(tenant=tenant, user=user).order_by("created_at", "id").first()
    if membership is None:
        raise StatusError(f"{user} is not a member of “{tenant.name}” any more.")
    return membership.role


def _leave_an_admin(tenant: Tenant, user: User, *, unless: bool = False) -> None:
    admins = Membership.objects.filter(tenant=tenant, role=Role.TENANT_ADMIN, user__is_active=True)
    if unless or not admins.filter(user=user).exists() or admins.exclude(user=user).exists():
        return
    raise StatusError(f"{user} is the last tenant admin. Make somebody else an admin first.")


def _record(kind: str, tenant: Tenant, user: User, *, by: Actor, before: str = "", after: str = "") -> None:
    record(
        kind,
        by=by,
        tenant=tenant.id,
        target_kind="user",
        target_id=user.pk,
        before={"role": str(before)} if before else None,
        after={"role": str(after)} if after else None,
    )
