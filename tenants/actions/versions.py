"""Of two people who edit the same thing at once, the second is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from access.models import User
from changes.models import AuditEvent
from changes.trail import field_label
from tenants.errors import StaleError

A_PROGRAM = "a program"  # who changed something with a token
_TOLD_MOST = 10  # of the changes that somebody slept through


def refuse_overtaken(row: Any, seen: int | None, *, target_kind: str) -> None:
    """Raise StaleError when a locked row is no longer at the version that the person saw; None asks nothing."""
    if seen is None or seen == row.version:
        return
    events = _last_events(target_kind, row.pk, row.version - seen)
    raise StaleError(
        f"“{row}” was changed {_by_whom(events)} after you opened it. "
        "Look at what it says now, then send your change again.",
        changed_by=_by_field(events),
    )


def changed_by(target_kind: str, target_id: str, number: int) -> dict[str, str]:
    """Who changed each field last, among the last `number` changes of a thing."""
    return _by_field(_last_events(target_kind, target_id, number))


def _last_events(target_kind: str, target_id: str, number: int) -> list[AuditEvent]:
    """The newest first."""
    events = AuditEvent.objects.filter(target_kind=target_kind, target_id=target_id).order_by("-id")
    return list(events[: max(1, min(number, _TOLD_MOST))])


def _by_whom(events: Iterable[AuditEvent]) -> str:
    """Who made changes, and of what: "by Asha Rao (expires at) and by a program (tags)"."""
    found: dict[str, set[str]] = {}
    for event in events:
        found.setdefault(_who(event), set()).update(field_label(name).lower() for name in event.after or {})
    told = [f"by {who} ({', '.join(sorted(fields))})" if fields else f"by {who}" for who, fields in found.items()]
    return " and ".join(told) or "by somebody else"


def _by_field(events: Iterable[AuditEvent]) -> dict[str, str]:
    found: dict[str, str] = {}
    for event in events:
        before, after = event.before or {}, event.after or {}
        for name in [each for each in after if after[each] != before.get(each)]:
            found.setdefault(name, _who(event))
    return found


def _who(event: AuditEvent) -> str:
    user = User.objects.filter(pk=event.actor_id).first() if event.actor_kind == "user" else None
    return str(user) if user else A_PROGRAM if event.actor_kind == "service_token" else event.actor_id
