"""Who a session belongs to. Nobody is authenticated here: the ceremony's own code signs people in."""

from __future__ import annotations

from django.contrib.auth.backends import BaseBackend

from access.models import User


class PasskeyBackend(BaseBackend):
    """Loads a session's user, and nobody who was deactivated: access ends with the next request."""

    def get_user(self, user_id: str) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True).first()
