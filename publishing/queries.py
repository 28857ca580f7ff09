"""Reads of the KV ledger: how far behind a namespace is, what was written and why, what fails."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, F, Min, Q, QuerySet
from django.utils import timezone

from access.models import User
from changes.models import AuditEvent, OutboxRow
from changes.queries import events_by_id
from publishing.models import KvEntry, PublisherLease


class Lag(NamedTuple):
    """How far a namespace is behind SQL. `age_ms` is that of the oldest change that is not in KV yet."""

    env: str
    waiting: int
    failing: int
    age_ms: int
    documents: int
    last_write: datetime | None
    error: str  # why nothing can be written at all, "" when it can


class KvWrite(NamedTuple):
    """A document's last write, and the change that it came from. `event` is None when the trail does not have it."""

    entry: KvEntry
    event: AuditEvent | None
    actor: str


def lag_of(env: str) -> Lag:
    """One environment's lag. Changes still in the outbox count for every environment: nobody has looked at them yet."""
    behind = KvEntry.objects.filter(env=env, published_rev__lt=F("rev"))
    found = behind.aggregate(waiting=Count("id"), failing=Count("id", filter=~Q(error="")), oldest=Min("updated_at"))
    now = timezone.now()
    outbox = OutboxRow.objects.filter(Q(due_at__lte=now) | Q(attempts__gt=0)).aggregate(
        waiting=Count("id"), failing=Count("id", filter=~Q(error="")), oldest=Min("created_at")
    )
    oldest = min((each for each in (found["oldest"], outbox["oldest"]) if each is not None), default=None)
    entries = KvEntry.objects.filter(env=env)
    lease = PublisherLease.objects.filter(namespace=env).first()
    newest = entries.exclude(published_at=None).order_by("-published_at").values_list("published_at", flat=True).first()
    return Lag(
        env=env,
        waiting=found["waiting"] + outbox["waiting"],
        failing=found["failing"] + outbox["failing"],
        age_ms=int((now - oldest).total_seconds() * 1000) if oldest else 0,
        documents=entries.exclude(body=None).count(),
        last_write=newest,
        error=lease.error if lease else "",
    )


def entries_for(tenant_id: str, *, all_tenants: bool) -> QuerySet[KvEntry]:
    """The entries that somebody may see: a tenant's own and the shared ones, or all."""
    entries = KvEntry.objects.defer("body")
    return entries if all_tenants else entries.filter(tenant_id__in=(tenant_id, ""))


def recent_writes(entries: QuerySet[KvEntry], *, most: int = 50) -> list[KvWrite]:
    """The last writes, the newest first."""
    return _explained(entries.exclude(published_at=None).order_by("-published_at", "-id")[:most])


def failing_writes(entries: QuerySet[KvEntry], *, most: int = 50) -> list[KvWrite]:
    """Entries whose last attempt failed, the oldest change first."""
    return _explained(entries.filter(published_rev__lt=F("rev")).exclude(error="").order_by("updated_at", "id")[:most])


def failing_objects(*, most: int = 50) -> list[OutboxRow]:
    """Changes that cannot even be rendered, the oldest first."""
    return list(OutboxRow.objects.exclude(error="").order_by("created_at", "id")[:most])


def _explained(entries: Iterable[KvEntry]) -> list[KvWrite]:
    found = list(entries)
    events = events_by_id(entry.why for entry in found)
    people = User.objects.in_bulk({event.actor_id for event in events.values() if event.actor_kind == "user"})
    writes = []
    for entry in found:
        event = events.get(entry.why)
        person = people.get(event.actor_id) if event is not None else None
        writes.append(KvWrite(entry, event, str(person or (event.actor_id if event else ""))))
    return writes
