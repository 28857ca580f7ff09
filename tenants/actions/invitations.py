"""Invitations: issued, mailed, revoked, accepted by somebody new or by somebody who has an account."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from access.actions import LinkNotValidError, add_passkey, create_user
from access.ceremonies import NewCredential
from access.models import Passkey, User
from access.rules import normal_email, token_hash
from changes.actor import Actor
from changes.record import record
from tenants.actions.members import clean_role, grant_membership
from tenants.actions.standing import hold_open
from tenants.errors import RefusedError, StatusError
from tenants.models import Invitation, Membership, Tenant
from tenants.people import live_invitation
from tenants.permissions import Role
from tenants.rules import clean_name
from tenants.scope import across_tenants, tenant_scope

LIFETIME = timedelta(hours=72)


@dataclass(frozen=True)
class IssuedInvitation:
    """An invitation just made. `token` is kept nowhere else."""

    invitation: Invitation
    token: str = field(repr=False)


def invite(*, tenant: Tenant, email: str, role: str, mail: Invitation.Mail, by: Actor) -> IssuedInvitation:
    """Invite the owner of an address. One that still waits for the same address ends. Raises RefusedError."""
    granted, address, token, now = clean_role(role), normal_email(email), secrets.token_urlsafe(32), timezone.now()
    with transaction.atomic(), tenant_scope(tenant.id):
        hold_open(tenant.id)  # and locked: of two invitations at once the second ends the first
        if Membership.objects.filter(tenant=tenant, user__email=address).exists():
            raise RefusedError(f"{address} is a member already: change the role in the list instead.", field="email")
        replaced = Invitation.objects.filter(
            tenant=tenant, email=address, accepted_at=None, revoked_at=None, expires_at__gt=now
        ).update(revoked_at=now)
        invitation = Invitation.objects.create(
            tenant=tenant,
            role=granted,
            email=address,
            token_sha256=token_hash(token),
            invited_by_id=by.id,
            expires_at=now + LIFETIME,
            mail=mail,
        )
        _record(
            "invitation.issued",
            invitation,
            by=by,
            after={
                "email": address,
                "role": granted.value,
                "expires_at": invitation.expires_at.isoformat(),
                "replaced": replaced,
            },
        )
    return IssuedInvitation(invitation, token)


def note_mail(*, invitation: Invitation, error: str, by: Actor) -> None:
    """Write down what became of the message: it was taken by the mail server, or not, and why."""
    mail = Invitation.Mail.FAILED if error else Invitation.Mail.SENT
    with transaction.atomic(), tenant_scope(invitation.tenant_id):
        Invitation.objects.filter(pk=invitation.pk).update(mail=mail, mail_error=error[:300])
        _record(f"invitation.mail_{mail.value}", invitation, by=by, after={"error": error[:300]} if error else {})


def revoke_invitation(*, invitation: Invitation, by: Actor) -> None:
    """End an invitation that nobody has accepted. Raises StatusError for one that somebody has."""
    with transaction.atomic(), tenant_scope(invitation.tenant_id):
        found = Invitation.objects.select_for_update(of=("self",)).get(pk=invitation.pk)
        if found.accepted_at is not None:
            raise StatusError(f"{found.email} has accepted already: remove the member instead.")
        if found.revoked_at is not None:
            return
        Invitation.objects.filter(pk=found.pk).update(revoked_at=timezone.now())
        _record("invitation.revoked", found, by=by, before={"email": found.email, "role": found.role})


def accept(*, token: str, user: User, by: Actor) -> Tenant:
    """Let somebody who has an account, and is signed in, join. Raises LinkNotValidError, StatusError."""
    with transaction.atomic():
        invitation = _claim(token, by=by)
        if user.email != invitation.email:
            raise LinkNotValidError
        grant_membership(tenant=invitation.tenant, user=user, role=Role(invitation.role), by=by)
    return invitation.tenant


def accept_as_new(
    *, token: str, name: str, credential: NewCredential, passkey_name: str, by: Actor
) -> tuple[Passkey, Tenant]:
    """Make an account with its first passkey and let it join.

    Raises LinkNotValidError, PasskeyKnownError, RefusedError. Whoever has an account accepts by signing in: a link must
    never add a passkey to it, as the link passes through other people's hands.
    """
    chosen = clean_name(name, what="person")
    with transaction.atomic():
        invitation = _claim(token, by=by)
        if User.objects.filter(email=invitation.email).exists():
            raise LinkNotValidError
        user = create_user(email=invitation.email, name=chosen, handle=bytes(invitation.handle), by=by)
        acting = replace(by, id=user.pk)
        passkey = add_passkey(user=user, credential=credential, name=passkey_name, keep="", by=acting)
        grant_membership(tenant=invitation.tenant, user=user, role=Role(invitation.role), by=acting)
    return passkey, invitation.tenant


def _claim(token: str, *, by: Actor) -> Invitation:
    """Use an invitation up; of several at once, one gets it. Raises LinkNotValidError."""
    invitation = live_invitation(token)
    if invitation is None:
        raise LinkNotValidError
    with across_tenants("whoever is invited belongs to no tenant yet"):
        waiting = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
        if not waiting.update(accepted_at=timezone.now()):
            raise LinkNotValidError
    _record("invitation.accepted", invitation, by=by, after={"email": invitation.email, "role": invitation.role})
    return invitation


def _record(
    kind: str,
    invitation: Invitation,
    *,
    by: Actor,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    record(
        kind,
        by=by,
        tenant=invitation.tenant_id,
        target_kind="invitation",
        target_id=invitation.id,
        before=before,
        after=after,
    )
