"""Reads about people, passkeys, links and sessions."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone

from access.lifetimes import lifetime_of
from access.models import EnrolmentLink, Passkey, RecoveryCode, Session, User
from access.rules import session_ended, token_hash


def live_link(token: str) -> EnrolmentLink | None:
    """The link that a token opens, unless it is used up, expired, or its person was deactivated."""
    return (
        EnrolmentLink.objects.select_related("user")
        .filter(token_sha256=token_hash(token), used_at=None, expires_at__gt=timezone.now(), user__is_active=True)
        .first()
    )


def passkeys_of(user: User) -> QuerySet[Passkey]:
    """A person's passkeys, the disabled ones too, in the order in which they were enrolled."""
    return Passkey.objects.filter(user=user)


def known_credentials(user: User) -> list[tuple[bytes, list[str]]]:
    """Id and transports of a person's usable passkeys."""
    found = Passkey.objects.filter(user=user, confirmed=True).values_list("credential_id", "transports")
    return [(bytes(credential_id), transports) for credential_id, transports in found]


def recovery_codes_of(user: User) -> QuerySet[RecoveryCode]:
    """A person's recovery codes that still work."""
    return RecoveryCode.objects.filter(user=user, used_at=None)


def sessions_of(user: User) -> list[Session]:
    """A person's sessions that have not reached a limit, the one that was used last first."""
    now, lifetime = timezone.now().timestamp(), lifetime_of(user)
    found = Session.objects.filter(user=user, created_at__isnull=False, seen_at__isnull=False).order_by("-seen_at")
    return [
        each
        for each in found
        if each.created_at is not None
        and each.seen_at is not None
        and not session_ended(
            now=now,
            signed_in_at=each.created_at.timestamp(),
            seen_at=each.seen_at.timestamp(),
            **lifetime._asdict(),
        )
    ]
