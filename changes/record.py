"""`record()`: the audit event and the outbox rows of one change, in the transaction of the change itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from changes.actor import Actor
from changes.chain import Link, digest_of, hold_the_end
from changes.models import AuditEvent, OutboxRow

CHANNEL = "spendops_outbox"  # PostgreSQL's notifications


class Topic(StrEnum):
    """The kinds of object that are published to KV."""

    KEY = "key"
    TENANT = "tenant"
    PROJECT = "project"  # all keys of the project
    PRICING = "pricing"
    OVERRIDES = "overrides"  # of a tenant, by its id
    ROUTING = "routing"  # what a tenant's tiers stand for, by its id


class Publish(NamedTuple):
    """An object that must be published anew because of a change: at once, or when a moment has come.

    `urgent` when it takes something away from somebody: it then goes before all that are not.
    """

    topic: Topic
    object_id: str
    due: datetime | None = None
    urgent: bool = False


class Change(NamedTuple):
    """One of several changes that are recorded together, see `record()`."""

    kind: str
    target_kind: str
    target_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    publish: Sequence[Publish]


class OutsideTransactionError(RuntimeError):
    """A change was recorded outside a transaction, where half of it could be lost."""


def record(
    kind: str,
    *,
    by: Actor,
    tenant: str,
    target_kind: str,
    target_id: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    publish: Iterable[Publish] = (),
) -> AuditEvent:
    """Write down a change and what must be published because of it.

    `tenant` is the tenant's id, "" for what belongs to none. Never put a secret into `before` or `after`.
    Raises OutsideTransactionError unless a transaction is open.
    """
    change = Change(kind, target_kind, target_id, before, after, tuple(publish))
    return record_all([change], by=by, tenant=tenant)[0]


def record_all(changes: Iterable[Change], *, by: Actor, tenant: str) -> list[AuditEvent]:
    """The same for many changes of one transaction, with a constant number of statements."""
    if not connection.in_atomic_block:
        raise OutsideTransactionError("record() must run in the transaction of the change that it records.")
    end, now, events, rows = hold_the_end(), timezone.now(), list[AuditEvent](), list[OutboxRow]()
    for change in changes:
        event = AuditEvent(
            id=end.id + 1,
            at=now,
            kind=change.kind,
            tenant_id=tenant,
            actor_kind=by.kind,
            actor_id=by.id,
            actor_role=by.role,
            target_kind=change.target_kind,
            target_id=change.target_id,
            before=_as_stored(change.before),
            after=_as_stored(change.after),
            request_id=by.request_id,
            address=by.address,
            previous=end.digest,
        )
        event.digest = digest_of(event)
        end = Link(event.id, event.digest)
        events.append(event)
        rows += [
            OutboxRow(
                topic=each.topic,
                object_id=each.object_id,
                audit_event_id=event.id,
                due_at=each.due or now,
                urgent=each.urgent,
            )
            for each in dict.fromkeys(change.publish)
        ]
    AuditEvent.objects.bulk_create(events)
    if rows:
        OutboxRow.objects.bulk_create(rows)
        wake_publisher()
    return events


def _as_stored(value: Mapping[str, Any] | None) -> Any:
    """What the column will give back: the digest covers this, and not a tuple or an enum that JSON does not know."""
    return None if value is None else json.loads(json.dumps(value, allow_nan=False))


def wake_publisher() -> None:
    """Tell a waiting publisher. PostgreSQL delivers it when the open transaction commits; on SQLite the publisher
    watches the database's data version, so that there is nothing to do.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")
