"""One document: what its stores shall hold, and what it said at each rev."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from django.db.models import Q
from django.utils import timezone

from changes.models import AuditEvent, OutboxRow
from changes.queries import events_by_id
from changes.trail import Naming, Part
from publishing.models import KvEntry, KvVersion
from publishing.says import Change, changes_between, says


class Revision(NamedTuple):
    """What a document said from a rev on, and how that differs from before. `event` is None where it is not to be seen.

    `first`: nothing is known from before it.
    """

    version: KvVersion
    says: str
    changes: Sequence[Change]
    event: AuditEvent | None
    sentence: Sequence[Part]
    first: bool


def rows_of(env: str, key: str, *, seen_by: Collection[str] | None) -> list[KvEntry]:
    """A document's rows, the highest rev first; [] where there is none that these tenants may see (None: all)."""
    rows = KvEntry.objects.filter(env=env, key=key)
    if seen_by is not None:
        rows = rows.filter(tenant_id__in=seen_by)
    return list(rows.order_by("-rev", "id"))


def history(
    env: str, key: str, *, seen_by: Collection[str] | None, before: int | None = None, most: int = 20
) -> tuple[list[Revision], bool]:
    """What the document said, the newest first, and whether there is more. `before` is the rev of the last one seen."""
    rows = KvVersion.objects.filter(env=env, key=key)
    if seen_by is not None:
        rows = rows.filter(tenant_id__in=seen_by)
    if before is not None:
        rows = rows.filter(rev__lt=before)
    versions = list(rows.order_by("-rev")[: most + 1])
    events = events_by_id(version.why for version in versions[:most])
    if seen_by is not None:
        events = {number: event for number, event in events.items() if event.tenant_id in seen_by}
    naming = Naming(events.values())
    found = []
    for number, version in enumerate(versions[:most]):
        older = versions[number + 1] if number + 1 < len(versions) else None
        event = events.get(version.why)
        found.append(
            Revision(
                version=version,
                says=says(key, version.body, deleted=version.body is None),
                changes=changes_between(key, older.body, version.body) if older else [],
                event=event,
                sentence=naming.sentence(event) if event else (),
                first=older is None,
            )
        )
    return found, len(versions) > most


def newest_version(env: str, key: str) -> KvVersion | None:
    """Since when the document says what it says."""
    return KvVersion.objects.filter(env=env, key=key).order_by("-rev").defer("body").first()


def is_to_be_rendered(topic: str, object_id: str) -> bool:
    """Whether a change of the object has not even become a document."""
    rows = OutboxRow.objects.filter(topic=topic, object_id=object_id)
    return rows.filter(Q(due_at__lte=timezone.now()) | Q(attempts__gt=0)).exists()
