"""Challenges under way: made for one purpose, valid for a short time, taken once. Not changes, so not audited."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from access.ceremonies import CeremonyRefusedError
from access.models import Ceremony, Confirmation, User


def open_ceremony(*, purpose: Ceremony.Purpose, challenge: bytes, user: User | None = None, action: str = "") -> str:
    """Keep a challenge until its answer comes. Returns the id that the browser's session remembers."""
    now = timezone.now()
    Ceremony.objects.filter(created_at__lt=_oldest()).delete()
    ceremony = Ceremony.objects.create(purpose=purpose, challenge=challenge, user=user, action=action, created_at=now)
    return ceremony.pk


def take_ceremony(ceremony_id: str | None, *, purpose: Ceremony.Purpose, user: User | None = None) -> Ceremony:
    """The ceremony that an answer belongs to; it is gone then, whatever becomes of the answer.

    Raises CeremonyRefusedError when it is unknown, already taken, too old, or meant for another purpose or person.
    """
    ceremony = Ceremony.objects.filter(pk=ceremony_id).first()
    if ceremony is None or Ceremony.objects.filter(pk=ceremony_id).delete()[0] != 1:  # of two answers one deletes it
        raise CeremonyRefusedError("There is no such challenge, or it was used already.")
    if ceremony.created_at < _oldest():
        raise CeremonyRefusedError("The challenge is too old.")
    if ceremony.purpose != purpose:
        raise CeremonyRefusedError(f"The challenge was made for {ceremony.purpose}, not for {purpose.value}.")
    if ceremony.user_id != (user.pk if user else None):
        raise CeremonyRefusedError("The challenge was made for another account.")
    return ceremony


def keep_confirmation(*, user: User, action: str) -> str:
    """Keep that a person confirmed one particular request, until that request comes. Returns its id."""
    Confirmation.objects.filter(created_at__lt=_oldest()).delete()
    return Confirmation.objects.create(user=user, action=action, created_at=timezone.now()).pk


def take_confirmation(confirmation_id: str | None, *, user: User, action: str) -> bool:
    """Whether this person has just confirmed this very request. True once for each confirmation."""
    found = Confirmation.objects.filter(pk=confirmation_id, user=user, action=action, created_at__gte=_oldest())
    return found.delete()[0] == 1


def _oldest() -> datetime:
    return timezone.now() - timedelta(seconds=settings.CEREMONY_SECONDS)
