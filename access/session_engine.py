"""Django's session engine over `access.models.Session`: cookies hold the key, the table its SHA-256."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from access.rules import token_hash

# What the session knows of the visit (Unix seconds and text); copied to columns, so that sessions can be listed.
SIGNED_IN_AT = "signed_in_at"
SEEN_AT = "seen_at"
CONFIRMED_AT = "confirmed_at"  # the last ceremony: sign-in or step-up
ADDRESS = "address"
AGENT = "agent"


class SessionStore(DatabaseStore):
    """A session that has ended in the table is ended: a request that still runs cannot bring it back."""

    @classmethod
    def get_model_class(cls) -> Any:
        from access.models import Session  # models are not loaded yet when settings name this engine

        return Session

    def load(self) -> dict[str, Any]:
        row = self.model.objects.filter(session_key=_kept(self.session_key), expire_date__gt=timezone.now()).first()
        if row is None:
            self._session_key = None
            return {}
        return dict(self.decode(row.session_data))

    def exists(self, session_key: str) -> bool:
        return bool(self.model.objects.filter(session_key=_kept(session_key)).exists())

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        return self.get_model_class()(
            session_key=_kept(self._get_or_create_session_key()),  # type: ignore[attr-defined]
            session_data=self.encode(data),
            expire_date=self.get_expiry_date(),
            user_id=data.get(SESSION_KEY),
            created_at=_moment(data.get(SIGNED_IN_AT)),
            seen_at=_moment(data.get(SEEN_AT)),
            address=data.get(ADDRESS, ""),
            agent=data.get(AGENT, ""),
        )

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            self.model.objects.filter(session_key=_kept(key)).delete()


def _kept(session_key: str | None) -> str:
    return token_hash(session_key or "")


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=UTC)
