"""Reads about people, passkeys, links and sessions."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone

from access.models import EnrolmentLink, Passkey, Session, User
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


def sessions_of(user: User) -> QuerySet[Session]:
    """A person's sessions, the one that was used last first."""
    return Session.objects.filter(user=user, expire_date__gt=timezone.now()).order_by("-seen_at")
