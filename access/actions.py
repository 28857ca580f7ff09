"""Every write about people, passkeys, links and sessions: one transaction each, with its audit event."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from access.ceremonies import (
    CeremonyRefusedError,
    NewCredential,
    counter_went_back,
    credential_id,
    verify_assertion,
)
from access.models import EnrolmentLink, Passkey, RecoveryCode, Session, User, new_handle
from access.rules import credential_hash, new_recovery_code, normal_email, plain_code, token_hash
from changes.actor import Actor
from changes.record import record

log = structlog.get_logger(__name__)

BY_OWNER, COPIED = "by_owner", "counter_went_back"  # why a passkey is disabled
RECOVERY_CODES = 10
RECOVERY_LINK_LIFETIME = timedelta(minutes=10)


class LinkNotValidError(Exception):
    """An enrolment link is unknown, used up or expired; which of these is not told."""


class CodeNotValidError(Exception):
    """A recovery code is unknown, used up or replaced, or its person was deactivated; which of these is not told."""


class LastPasskeyError(Exception):
    """Somebody's last passkey cannot be removed or disabled: nothing would let the person in again."""


class PasskeyCopiedError(Exception):
    """A passkey that was disabled because it looked copied cannot be enabled again."""


class PasskeyKnownError(Exception):
    """This very credential is enrolled already."""


@dataclass(frozen=True)
class IssuedLink:
    """A link's token, which is kept nowhere else, and when it expires."""

    token: str
    expires_at: datetime


def create_user(*, email: str, name: str, handle: bytes = b"", by: Actor) -> User:
    """A person who cannot sign in yet. `handle` is what an authenticator was told already, when one was."""
    with transaction.atomic():
        user = User.objects.create(email=normal_email(email), name=name, handle=handle or new_handle())
        record("user.created", by=by, tenant="", target_kind="user", target_id=user.pk)
    return user


def issue_enrolment_link(*, user: User, purpose: EnrolmentLink.Purpose, lifetime: timedelta, by: Actor) -> IssuedLink:
    """A one-time link for a person's passkey. Any older link of that person ends."""
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # of two links issued at once the second ends the first
        EnrolmentLink.objects.filter(user=user, used_at=None, expires_at__gt=now).update(expires_at=now)
        link = EnrolmentLink.objects.create(
            user=user, purpose=purpose, token_sha256=token_hash(token), expires_at=now + lifetime
        )
        record(
            "enrolment_link.issued",
            by=by,
            tenant="",
            target_kind="user",
            target_id=user.pk,
            after={"purpose": purpose.value, "expires_at": link.expires_at.isoformat()},
        )
    return IssuedLink(token, link.expires_at)


def enrol(*, link: EnrolmentLink, credential: NewCredential, name: str, by: Actor) -> Passkey:
    """Use a link up for one passkey; the person's sessions end. Raises LinkNotValidError, PasskeyKnownError."""
    now = timezone.now()
    acting = replace(by, id=link.user_id)
    with transaction.atomic():
        claimed = EnrolmentLink.objects.filter(pk=link.pk, used_at=None, expires_at__gt=now).update(used_at=now)
        if not claimed:
            raise LinkNotValidError
        _end_sessions(link.user, keep="")
        return _store_passkey(user=link.user, credential=credential, name=name, by=acting)


def add_passkey(*, user: User, credential: NewCredential, name: str, keep: str, by: Actor) -> Passkey:
    """One more passkey. All sessions of the person end but the one whose key is `keep`. Raises PasskeyKnownError."""
    with transaction.atomic():
        passkey = _store_passkey(user=user, credential=credential, name=name, by=by)
        _end_sessions(user, keep=keep)
    return passkey


def rename_passkey(*, passkey: Passkey, name: str, by: Actor) -> None:
    with transaction.atomic():
        before = Passkey.objects.select_for_update().get(pk=passkey.pk).name
        Passkey.objects.filter(pk=passkey.pk).update(name=name)
        record(
            "passkey.renamed",
            by=by,
            tenant="",
            target_kind="passkey",
            target_id=str(passkey.pk),
            before={"name": before},
            after={"name": name},
        )


def remove_passkey(*, passkey: Passkey, keep: str, by: Actor) -> None:
    """Remove a passkey and end the person's sessions but `keep`. Raises LastPasskeyError."""
    with transaction.atomic():
        _leave_another(passkey)
        if not Passkey.objects.filter(pk=passkey.pk).delete()[0]:
            return
        _end_sessions(passkey.user, keep=keep)
        record(
            "passkey.removed",
            by=by,
            tenant="",
            target_kind="passkey",
            target_id=str(passkey.pk),
            before={"name": passkey.name, "user": passkey.user_id},
        )


def disable_passkey(*, passkey: Passkey, keep: str, by: Actor) -> None:
    """Let a passkey rest, and end the person's sessions but `keep`. Raises LastPasskeyError."""
    with transaction.atomic():
        _leave_another(passkey)
        _disable(passkey, reason=BY_OWNER, keep=keep, by=by)


def enable_passkey(*, passkey: Passkey, keep: str, by: Actor) -> None:
    """Let a passkey that its owner disabled work again. Raises PasskeyCopiedError for one that looked copied."""
    with transaction.atomic():
        passkey = Passkey.objects.select_for_update().get(pk=passkey.pk)
        if passkey.confirmed:
            return
        if passkey.disabled_reason != BY_OWNER:
            raise PasskeyCopiedError
        Passkey.objects.filter(pk=passkey.pk).update(confirmed=True, disabled_reason="")
        _end_sessions(passkey.user, keep=keep)
        record(
            "passkey.enabled",
            by=by,
            tenant="",
            target_kind="passkey",
            target_id=str(passkey.pk),
            after={"user": passkey.user_id},
        )


def use_passkey(*, answer: Any, challenge: bytes, kind: str, by: Actor, user: User | None = None) -> Passkey:
    """Believe an authenticator's answer, or raise CeremonyRefusedError. `kind` names the audit event.

    With `user`, only that person's passkeys count. A counter that went back disables the passkey and ends the
    person's sessions, but only once the signature has been checked.
    """
    with transaction.atomic():
        passkey = (
            Passkey.objects.select_for_update(of=("self",))
            .select_related("user")
            .filter(credential_sha256=credential_hash(credential_id(answer)), confirmed=True, user__is_active=True)
            .first()
        )
        if passkey is None or (user is not None and passkey.user_id != user.pk):
            raise CeremonyRefusedError("No usable passkey has this credential id.")
        assertion = verify_assertion(
            answer,
            challenge=challenge,
            public_key=bytes(passkey.public_key),
            handle=bytes(passkey.user.handle),
        )
        acting = replace(by, id=passkey.user_id)
        copied = counter_went_back(stored=passkey.sign_count, presented=assertion.sign_count)
        if copied:
            _disable(passkey, reason=COPIED, keep="", by=acting)
        else:
            passkey.sign_count = assertion.sign_count
            passkey.backed_up = assertion.backed_up
            passkey.last_used_at = timezone.now()
            passkey.save(update_fields=["sign_count", "backed_up", "last_used_at"])
            record(kind, by=acting, tenant="", target_kind="passkey", target_id=str(passkey.pk))
    if copied:  # after the transaction, which must not be rolled back
        raise CeremonyRefusedError("The signature counter went back: the passkey was copied, and is disabled now.")
    return passkey


def issue_recovery_codes(*, user: User, by: Actor) -> list[str]:
    """Ten new recovery codes, which are kept nowhere else. Those that the person had before end."""
    codes = [new_recovery_code() for _ in range(RECOVERY_CODES)]
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # of two sets issued at once the second ends the first
        ended, _ = RecoveryCode.objects.filter(user=user).delete()
        RecoveryCode.objects.bulk_create(
            RecoveryCode(user=user, code_sha256=token_hash(plain_code(code))) for code in codes
        )
        record(
            "recovery_codes.issued",
            by=by,
            tenant="",
            target_kind="user",
            target_id=user.pk,
            after={"codes": len(codes), "ended": ended},
        )
    return codes


def redeem_recovery_code(*, code: str, by: Actor) -> IssuedLink:
    """Use a recovery code up for a link that enrols a passkey, and does nothing else. Raises CodeNotValidError."""
    with transaction.atomic():
        found = (
            RecoveryCode.objects.select_related("user")
            .filter(code_sha256=token_hash(plain_code(code)), used_at=None, user__is_active=True)
            .first()
        )
        if found is None or not RecoveryCode.objects.filter(pk=found.pk, used_at=None).update(used_at=timezone.now()):
            raise CodeNotValidError
        left = RecoveryCode.objects.filter(user=found.user, used_at=None).count()
        acting = replace(by, id=found.user_id)
        record(
            "recovery_code.used",
            by=acting,
            tenant="",
            target_kind="user",
            target_id=found.user_id,
            after={"left": left},
        )
        return issue_enrolment_link(
            user=found.user, purpose=EnrolmentLink.Purpose.RECOVERY, lifetime=RECOVERY_LINK_LIFETIME, by=acting
        )


def end_session(*, user: User, kept_key: str, by: Actor) -> bool:
    """End one session of a person, named by what the table keeps as its key. False when there is none (any more)."""
    with transaction.atomic():
        ended = Session.objects.filter(session_key=kept_key, user=user).delete()[0] == 1
        if ended:
            record("session.ended", by=by, tenant="", target_kind="user", target_id=user.pk)
    return ended


def end_other_sessions(*, user: User, keep: str, by: Actor) -> int:
    """End all of a person's sessions but the one whose key is `keep`. Returns how many ended."""
    with transaction.atomic():
        ended = _end_sessions(user, keep=keep)
        record("sessions.ended", by=by, tenant="", target_kind="user", target_id=user.pk, after={"sessions": ended})
    return ended


def sign_out(*, user: User, session_key: str, by: Actor) -> None:
    """End one session."""
    with transaction.atomic():
        Session.objects.filter(session_key=token_hash(session_key), user=user).delete()
        record("user.signed_out", by=by, tenant="", target_kind="user", target_id=user.pk)


def _store_passkey(*, user: User, credential: NewCredential, name: str, by: Actor) -> Passkey:
    try:
        with transaction.atomic():
            passkey = Passkey.objects.create(
                user=user,
                name=name,
                credential_id=credential.id,
                credential_sha256=credential_hash(credential.id),
                public_key=credential.public_key,
                sign_count=credential.sign_count,
                aaguid=credential.aaguid,
                backup_eligible=credential.backup_eligible,
                backed_up=credential.backed_up,
                transports=credential.transports,
            )
    except IntegrityError as error:
        raise PasskeyKnownError from error
    record(
        "passkey.enrolled",
        by=by,
        tenant="",
        target_kind="passkey",
        target_id=str(passkey.pk),
        after={"user": user.pk, "name": name, "aaguid": passkey.aaguid, "backup_eligible": passkey.backup_eligible},
    )
    return passkey


def _leave_another(passkey: Passkey) -> None:
    """Raises LastPasskeyError when no other passkey of the person works."""
    User.objects.select_for_update().get(pk=passkey.user_id)  # two removals at once must not leave none
    if not Passkey.objects.filter(user=passkey.user_id, confirmed=True).exclude(pk=passkey.pk).exists():
        raise LastPasskeyError


def _disable(passkey: Passkey, *, reason: str, keep: str, by: Actor) -> None:
    Passkey.objects.filter(pk=passkey.pk).update(confirmed=False, disabled_reason=reason)
    ended = _end_sessions(passkey.user, keep=keep)
    record(
        "passkey.disabled",
        by=by,
        tenant="",
        target_kind="passkey",
        target_id=str(passkey.pk),
        after={"user": passkey.user_id, "reason": reason, "sessions_ended": ended},
    )
    if reason == COPIED:
        log.warning("passkey_disabled", passkey=passkey.pk, user=passkey.user_id, reason=reason)


def _end_sessions(user: User, *, keep: str) -> int:
    return Session.objects.filter(user=user).exclude(session_key=token_hash(keep)).delete()[0]
