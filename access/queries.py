"""Reads about people, passkeys, links and sessions."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from access.lifetimes import lifetime_of
from access.models import EnrolmentLink, Passkey, RecoveryCode, Session, User
from access.rules import token_hash


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


def sessions_of(user: User) -> QuerySet[Session]:
    """A person's sessions that have not reached a limit, the one that was used last first."""
    now, lifetime = timezone.now(), lifetime_of(user)
    return Session.objects.filter(
        user=user,
        created_at__gte=now - timedelta(seconds=lifetime.absolute),
        seen_at__gte=now - timedelta(seconds=lifetime.idle),
    ).order_by("-seen_at")
