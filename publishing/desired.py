"""From outbox rows to desired state: changed objects are read again and their documents become `KvEntry` rows."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from changes.models import OutboxRow
from changes.record import Topic
from publishing import leases
from publishing.backoff import delay
from publishing.entries import Cause, desire
from publishing.render import keys_of_project, render
from tenants.scope import across_tenants

log = structlog.get_logger(__name__)

BATCH = 500

Causes = dict[str, Cause]  # of each object, by its id


def settle() -> int:
    """Turn the rows that are due, up to a batch, into desired state. Returns how many objects; 0 when none is due.

    One transaction: it either happened with its rows deleted or it did not. What takes something away goes first, then
    single objects before those of many documents. An object that cannot be rendered keeps its rows, which come again
    later and hold nobody up.
    """
    if not _due(True, False).exists():
        return 0
    with transaction.atomic(), across_tenants("what is published belongs to every tenant"):
        leases.wait_for_turn(leases.OUTBOX)  # an object read earlier must not be written over one read later
        for urgent in (True, False):
            due = _due(urgent).order_by("due_at", "id")
            if rows := list(due.exclude(topic=Topic.PROJECT)[:BATCH]):
                _settle_objects(rows)
                return len(rows)
            if row := due.filter(topic=Topic.PROJECT).first():
                return _settle_piece_of_project(row)
    return 0


def _due(*urgent: bool) -> QuerySet[OutboxRow]:
    return OutboxRow.objects.filter(urgent__in=urgent, due_at__lte=timezone.now())


def _settle_objects(rows: Sequence[OutboxRow]) -> None:
    topics: dict[str, dict[str, list[OutboxRow]]] = {}
    for row in rows:
        topics.setdefault(row.topic, {}).setdefault(row.object_id, []).append(row)
    for topic, objects in topics.items():
        refused = _settle(topic, {each: _cause(about) for each, about in objects.items()})
        done = [row.pk for each, about in objects.items() if each not in refused for row in about]
        OutboxRow.objects.filter(pk__in=done).delete()
        for each, error in refused.items():
            _postpone(objects[each], error)


def _cause(rows: Sequence[OutboxRow]) -> Cause:
    return Cause(max(row.audit_event_id for row in rows), any(row.urgent for row in rows))


def _settle_piece_of_project(row: OutboxRow) -> int:
    """Some of the keys of a project; the row remembers how far it came."""
    ids = keys_of_project(row.object_id, after=row.after, most=BATCH)
    refused = _settle(Topic.KEY, dict.fromkeys(ids, _cause([row])))
    for each, error in refused.items():
        of_its_own = OutboxRow.objects.create(
            topic=Topic.KEY, object_id=each, audit_event_id=row.audit_event_id, urgent=row.urgent
        )
        _postpone([of_its_own], error)
    if len(ids) < BATCH:
        row.delete()
        return len(ids) + 1
    row.after = ids[-1]
    row.save(update_fields=["after"])
    return len(ids)


def _settle(topic: str, causes: Causes) -> dict[str, Exception]:
    """All objects at once, or one by one where that fails. Returns those that cannot be rendered."""
    try:
        with transaction.atomic():
            _settle_at_once(topic, causes)
    except Exception:  # whatever a renderer raises concerns one object only: the others are found by trying
        refused: dict[str, Exception] = {}
        for object_id, cause in causes.items():
            try:
                with transaction.atomic():
                    _settle_at_once(topic, {object_id: cause})
            except Exception as error:
                refused[object_id] = error
        return refused
    return {}


def _settle_at_once(topic: str, causes: Causes) -> None:
    rendered = render(topic, list(causes), environments=settings.SPENDOPS.environments)
    desire((document, causes[each]) for each, documents in rendered.items() for document in documents)


def _postpone(rows: Sequence[OutboxRow], error: Exception) -> None:
    attempts = max(row.attempts for row in rows) + 1
    text = f"{type(error).__name__}: {error}"[:500]
    log.warning("An object cannot be rendered", topic=rows[0].topic, object=rows[0].object_id, error=text)
    OutboxRow.objects.filter(pk__in=[row.pk for row in rows]).update(
        attempts=attempts, due_at=timezone.now() + delay(attempts), error=text
    )
