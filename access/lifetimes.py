"""How long sessions last: short for admins, longer for people who only read."""

from __future__ import annotations

from typing import NamedTuple

from django.conf import settings
from django.utils.module_loading import import_string

from access.models import User


class Lifetime(NamedTuple):
    """In seconds: without a request, and in any case."""

    idle: int
    absolute: int


def lifetime_of(user: User) -> Lifetime:
    """The limits of a person's sessions. `settings.IS_READER` says who only reads: roles are not known here."""
    if import_string(settings.IS_READER)(user):
        return Lifetime(settings.READER_SESSION_IDLE_SECONDS, settings.READER_SESSION_ABSOLUTE_SECONDS)
    return Lifetime(settings.SESSION_IDLE_SECONDS, settings.SESSION_ABSOLUTE_SECONDS)
