"""What people may do to the ledger: have something tried again at once."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from changes.actor import Actor
from changes.models import OutboxRow
from changes.record import record, wake_publisher
from publishing.models import KvEntry


def retry_entry(*, entry: KvEntry, by: Actor) -> None:
    """Send a document again now, whatever its failures said. What a guard holds is looked at anew."""
    with transaction.atomic():
        _send_again(KvEntry.objects.filter(pk=entry.pk))
        record(
            "kv_entry.retried",
            by=by,
            tenant=entry.tenant_id,
            target_kind="kv_entry",
            target_id=f"{entry.env} {entry.key}"[:128],
            before={"attempts": entry.attempts, "error": entry.error},
            after={"rev": entry.rev, "store": entry.store},
        )
        wake_publisher()


def retry_parked(*, entries: QuerySet[KvEntry], tenant: str, by: Actor) -> int:
    """Send all of these documents again now. `tenant` is whose they are, "" for any. Returns how many."""
    with transaction.atomic():
        number = _send_again(entries)
        if number:
            record(
                "kv_entry.all_retried",
                by=by,
                tenant=tenant,
                target_kind="kv_entry",
                target_id="parked",
                after={"documents": number},
            )
            wake_publisher()
    return number


def retry_object(*, row: OutboxRow, by: Actor) -> None:
    """Render a changed object again now."""
    with transaction.atomic():
        OutboxRow.objects.filter(pk=row.pk).update(attempts=0, due_at=timezone.now(), error="")
        record(
            "outbox.retried",
            by=by,
            tenant="",
            target_kind=row.topic,
            target_id=row.object_id,
            before={"attempts": row.attempts, "error": row.error},
        )
        wake_publisher()


def _send_again(entries: QuerySet[KvEntry]) -> int:
    return entries.update(parked=False, attempts=0, next_at=timezone.now(), error="")
