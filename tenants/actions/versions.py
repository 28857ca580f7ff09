"""Of two people who edit the same thing at once, the second is told."""

from __future__ import annotations

from typing import Any

from access.models import User
from changes.models import AuditEvent
from tenants.errors import StaleError


def refuse_overtaken(row: Any, seen: int | None, *, target_kind: str) -> None:
    """Raise StaleError when a locked row is no longer at the version that the person saw; None asks nothing."""
    if seen is None or seen == row.version:
        return
    raise StaleError(
        f"“{row}” was changed {_by_whom(target_kind, row.pk)} after you opened it. "
        "Look at what it says now, then send your change again."
    )


def _by_whom(target_kind: str, target_id: str) -> str:
    event = AuditEvent.objects.filter(target_kind=target_kind, target_id=target_id).order_by("-id").first()
    if event is None:
        return "by somebody else"
    user = User.objects.filter(pk=event.actor_id).first() if event.actor_kind == "user" else None
    who = str(user) if user else "a program" if event.actor_kind == "service_token" else event.actor_id
    return f"by {who}"
