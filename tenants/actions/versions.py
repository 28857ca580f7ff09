"""Of two people who edit the same thing at once, the second is told."""

from __future__ import annotations

from typing import Any

from access.models import User
from changes.models import AuditEvent
from changes.trail import field_label
from tenants.errors import StaleError

_TOLD_MOST = 10  # of the changes that somebody slept through


def refuse_overtaken(row: Any, seen: int | None, *, target_kind: str) -> None:
    """Raise StaleError when a locked row is no longer at the version that the person saw; None asks nothing."""
    if seen is None or seen == row.version:
        return
    raise StaleError(
        f"“{row}” was changed {_by_whom(target_kind, row.pk, row.version - seen)} after you opened it. "
        "Look at what it says now, then send your change again."
    )


def _by_whom(target_kind: str, target_id: str, number: int) -> str:
    """Who made the last changes, and of what: "by Asha Rao (expires at) and by a program (tags)"."""
    events = AuditEvent.objects.filter(target_kind=target_kind, target_id=target_id).order_by("-id")
    found: dict[str, set[str]] = {}
    for event in events[: max(1, min(number, _TOLD_MOST))]:
        found.setdefault(_who(event), set()).update(field_label(name).lower() for name in event.after or {})
    told = [f"by {who} ({', '.join(sorted(fields))})" if fields else f"by {who}" for who, fields in found.items()]
    return " and ".join(told) or "by somebody else"


def _who(event: AuditEvent) -> str:
    user = User.objects.filter(pk=event.actor_id).first() if event.actor_kind == "user" else None
    return str(user) if user else "a program" if event.actor_kind == "service_token" else event.actor_id
