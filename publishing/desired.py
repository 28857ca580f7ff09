"""From outbox rows to desired state: each changed object is read again and its documents become `KvEntry` rows."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from changes.models import OutboxRow
from publishing import leases
from publishing.backoff import delay
from publishing.models import KvEntry
from publishing.render import Document, render
from tenants.scope import across_tenants

log = structlog.get_logger(__name__)

BATCH = 500


def settle() -> int:
    """Turn the rows that are due, up to a batch, into desired state. Returns how many there were; 0 when none is due.

    One transaction: it either happened with its rows deleted or it did not. An object that cannot be rendered keeps
    its rows, which come again later and hold nobody up.
    """
    if not _due().exists():
        return 0
    with transaction.atomic(), across_tenants("what is published belongs to every tenant"):
        leases.wait_for_turn(leases.OUTBOX)  # an object read earlier must not be written over one read later
        rows = list(_due().order_by("due_at", "id")[:BATCH])
        objects: dict[tuple[str, str], list[OutboxRow]] = {}
        for row in rows:
            objects.setdefault((row.topic, row.object_id), []).append(row)
        for (topic, object_id), about in objects.items():
            try:
                with transaction.atomic():
                    _settle_object(topic, object_id, why=max(row.audit_event_id for row in about))
            except Exception as error:  # whatever a renderer raises concerns this object only
                _postpone(about, error)
            else:
                OutboxRow.objects.filter(pk__in=[row.pk for row in about]).delete()
    return len(rows)


def _due() -> Any:
    return OutboxRow.objects.filter(due_at__lte=timezone.now())


def _settle_object(topic: str, object_id: str, *, why: int) -> None:
    for document in render(topic, object_id, environments=settings.SPENDOPS.environments):
        _desire(document, why=why)


def _desire(document: Document, *, why: int) -> None:
    """Raise the entry's rev if the content is another one than the entry's. The same again writes nothing."""
    entry = KvEntry.objects.filter(env=document.env, key=document.key).first()
    digest = _digest(document.content)
    if entry is None:
        if document.content is None:
            return
        KvEntry.objects.create(
            env=document.env,
            store=settings.SPENDOPS.stores[document.env][0].id,
            key=document.key,
            tenant_id=document.tenant_id,
            rev=1,
            body=_at_rev(document.content, 1),
            digest=digest,
            why=why,
        )
    elif entry.digest != digest:
        rev = entry.rev + 1
        now = timezone.now()
        KvEntry.objects.filter(pk=entry.pk).update(
            tenant_id=document.tenant_id,
            rev=rev,
            body=_at_rev(document.content, rev),
            digest=digest,
            why=why,
            updated_at=now,
            next_at=now,  # a new rev does not wait for what its forerunner failed at
            attempts=0,
            error="",
        )


def _digest(content: msgspec.Struct | None) -> str:
    return "" if content is None else hashlib.sha256(msgspec.json.encode(content)).hexdigest()


def _at_rev(content: msgspec.Struct | None, rev: int) -> bytes | None:
    return None if content is None else msgspec.json.encode(msgspec.structs.replace(content, rev=rev))


def _postpone(rows: list[OutboxRow], error: Exception) -> None:
    attempts = max(row.attempts for row in rows) + 1
    text = f"{type(error).__name__}: {error}"[:500]
    log.warning("An object cannot be rendered", topic=rows[0].topic, object=rows[0].object_id, error=text)
    OutboxRow.objects.filter(pk__in=[row.pk for row in rows]).update(
        attempts=attempts, due_at=timezone.now() + delay(attempts), error=text
    )
