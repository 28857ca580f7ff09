"""What people may do to the ledger: have something tried again at once."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from changes.actor import Actor
from changes.models import OutboxRow
from changes.record import record, wake_publisher
from publishing.models import KvEntry


def retry_entry(*, entry: KvEntry, by: Actor) -> None:
    """Send a document again now, whatever its failures said."""
    with transaction.atomic():
        KvEntry.objects.filter(pk=entry.pk).update(attempts=0, next_at=timezone.now(), parked=False, error="")
        record(
            "kv_entry.retried",
            by=by,
            tenant=entry.tenant_id,
            target_kind="kv_entry",
            target_id=f"{entry.env} {entry.key}"[:128],
            before={"attempts": entry.attempts, "error": entry.error},
            after={"rev": entry.rev},
        )
        wake_publisher()


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
