"""The first person of an installation: platform admin, and tenant admin of the first tenant. Runs on the host only."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from django.db import connection, transaction
from django.db.models import QuerySet

from access.actions import IssuedLink, create_user, issue_enrolment_link
from access.models import EnrolmentLink, Passkey, User
from access.rules import normal_email
from changes.actor import Actor
from changes.record import record
from tenants.actions.tenants import create_tenant
from tenants.models import Membership, Tenant
from tenants.rules import time_zones

LINK_LIFETIME = timedelta(minutes=30)
DEFAULT_EMAIL = "admin@localhost"
DEFAULT_NAME = "Admin"
DEFAULT_TENANT = "Default"

_LOCK = 7_310_602_118  # any number, the same in every process


class BootstrapRefusedError(Exception):
    """No link is issued; the text says why, and what to do instead."""


def has_admin() -> bool:
    """Whether some platform admin has enrolled a passkey: then the installation has somebody to ask."""
    return Passkey.objects.filter(user__in=_platform_admins()).exists()


def bootstrap_admin(
    *, email: str = "", name: str = DEFAULT_NAME, tenant_name: str = DEFAULT_TENANT, time_zone: str = "UTC", by: Actor
) -> IssuedLink:
    """A one-time link for the first admin. Until it is used, asking again ends the old link and gives a new one.

    Raises BootstrapRefusedError once a platform admin has a passkey, or when the e-mail address is somebody else's.
    """
    with transaction.atomic():
        _one_at_a_time()
        if has_admin():
            raise BootstrapRefusedError(
                "A platform admin with a passkey exists already: sign in, or, if every passkey is lost, "
                "run `manage.py bootstrap_admin --recover EMAIL` for that admin."
            )
        user = _platform_admins().order_by("created_at").first()
        if user is None:
            user = _new_admin(email=email or DEFAULT_EMAIL, name=name, by=by)
            _join_first_tenant(user, tenant_name=tenant_name, time_zone=time_zone, by=by)
        elif email and normal_email(email) != user.email:
            _change_email(user, email=email, by=by)
        return issue_enrolment_link(user=user, purpose=EnrolmentLink.Purpose.FIRST_ADMIN, lifetime=LINK_LIFETIME, by=by)


def recover_admin(*, email: str, by: Actor) -> IssuedLink:
    """A one-time link for a platform admin who has lost every passkey. Raises BootstrapRefusedError."""
    with transaction.atomic():
        _one_at_a_time()
        user = _platform_admins().filter(email=normal_email(email)).first()
        if user is None:
            raise BootstrapRefusedError(f"No active platform admin has the e-mail address {email}.")
        return issue_enrolment_link(user=user, purpose=EnrolmentLink.Purpose.RECOVERY, lifetime=LINK_LIFETIME, by=by)


def machine_time_zone() -> str:
    """The time zone that this machine is set to, as an IANA name; UTC when it does not say."""
    candidates = [os.environ.get("TZ", "").lstrip(":")]
    named = Path("/etc/timezone")
    if named.is_file():
        candidates.append(named.read_text(encoding="utf-8").strip())
    linked = Path("/etc/localtime")
    if linked.is_symlink():
        candidates.append(str(linked.resolve()).partition("zoneinfo/")[2])
    return next((candidate for candidate in candidates if candidate in time_zones()), "UTC")


def _platform_admins() -> QuerySet[User]:
    return User.objects.filter(
        is_active=True, memberships__role=Membership.Role.PLATFORM_ADMIN, memberships__tenant=None
    )


def _one_at_a_time() -> None:
    """Two commands at once take turns. On SQLite a transaction that writes has the database to itself anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _new_admin(*, email: str, name: str, by: Actor) -> User:
    _refuse_taken(email)
    return create_user(email=email, name=name, by=by)


def _join_first_tenant(user: User, *, tenant_name: str, time_zone: str, by: Actor) -> None:
    tenant = Tenant.objects.order_by("created_at", "id").first()
    if tenant is None:
        tenant = create_tenant(name=tenant_name, time_zone=time_zone, by=by)
    for of_tenant, role in ((None, Membership.Role.PLATFORM_ADMIN), (tenant, Membership.Role.TENANT_ADMIN)):
        Membership.objects.create(user=user, tenant=of_tenant, role=role)
        record(
            "membership.granted",
            by=by,
            tenant=of_tenant.id if of_tenant else "",
            target_kind="user",
            target_id=user.pk,
            after={"role": role.value},
        )


def _change_email(user: User, *, email: str, by: Actor) -> None:
    """Nobody has signed in as this person yet, so a mistyped address can still be put right."""
    _refuse_taken(email)
    User.objects.filter(pk=user.pk).update(email=normal_email(email))
    record("user.email_changed", by=by, tenant="", target_kind="user", target_id=user.pk)


def _refuse_taken(email: str) -> None:
    if User.objects.filter(email=normal_email(email)).exists():
        raise BootstrapRefusedError(f"Somebody else has the e-mail address {email} already: choose another.")
