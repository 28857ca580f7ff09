"""From desired state to KV: due entries are claimed, written, and marked with the rev that the store acknowledged.

A crash between any two of these steps sends an entry again, which the store sees is a repetition. So does an answer
that never came: what became of a write is not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
import structlog
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from publishing import leases
from publishing.backoff import delay
from publishing.models import KvEntry
from publishing.namespace import Namespace
from wire.documents import PRICING_BLOB, PRICING_VERSION
from wire.kv.base import Entry, Outcome, Write

log = structlog.get_logger(__name__)

BATCH = 500


class Drained(NamedTuple):
    """How many entries were written, and how many could not be and come again later."""

    published: int = 0
    failed: int = 0

    def plus(self, other: Drained) -> Drained:
        return Drained(self.published + other.published, self.failed + other.failed)


def drain(namespace: Namespace, *, holder: str) -> Drained:
    """Write all entries of an environment that are due. Does nothing while another publisher holds the namespace."""
    if not _due(namespace.env).exists() or not leases.acquire(namespace.env, holder):
        return Drained()
    try:
        if not _may_write(namespace):
            return Drained()
        done = _drain(namespace, holder, versions=False)
        return done.plus(_drain(namespace, holder, versions=True))
    finally:
        leases.release(namespace.env, holder)


def _may_write(namespace: Namespace) -> bool:
    try:
        namespace.check()
    except Exception as error:  # refused, or whatever the store raises: the entries stay due, the next sweep asks again
        text = str(error)[:500] or type(error).__name__
        log.error("A namespace cannot be written into", env=namespace.env, error=text)
        leases.note(namespace.env, text)
        return False
    leases.note(namespace.env, "")
    return True


def _drain(namespace: Namespace, holder: str, *, versions: bool) -> Drained:
    total = Drained()
    while claimed := _claim(namespace.env, versions=versions):
        total = total.plus(_send(namespace, claimed))
        if not leases.acquire(namespace.env, holder):
            break  # this batch took so long that another publisher goes on
    return total


def _due(env: str) -> QuerySet[KvEntry]:
    return KvEntry.objects.filter(env=env, published_rev__lt=F("rev"), next_at__lte=timezone.now())


def _claim(env: str, *, versions: bool) -> list[KvEntry]:
    """Entries that are this publisher's to send: whoever else looks finds them due later only.

    A version is sent when the blob that it names is in the store, never before: readers wait for the one by the other.
    """
    waiting = _due(env).exclude(key=PRICING_VERSION)
    if versions:
        blob = KvEntry.objects.filter(env=env, key=PRICING_BLOB, published_rev__lt=F("rev"))
        waiting = _due(env).filter(key=PRICING_VERSION) if not blob.exists() else KvEntry.objects.none()
    if not waiting.exists():
        return []
    claimed: list[KvEntry] = []
    with transaction.atomic():
        found = list(waiting.select_for_update(skip_locked=True).order_by("next_at", "id")[:BATCH])
        found.sort(key=lambda entry: entry.attempts)
        now = timezone.now()
        for attempts, group in groupby(found, key=lambda entry: entry.attempts):
            entries = list(group)
            taken = KvEntry.objects.filter(pk__in=_pks(entries), attempts=attempts, next_at__lte=now)
            if taken.update(attempts=attempts + 1, next_at=now + delay(attempts + 1)) == len(entries):
                claimed += entries
    return sorted(claimed, key=lambda entry: entry.pk)


def _send(namespace: Namespace, entries: list[KvEntry]) -> Drained:
    writes = [Write(entry.key, entry.rev, None if entry.body is None else bytes(entry.body)) for entry in entries]
    try:
        outcomes = list(zip(entries, namespace.write(writes), strict=True))
        taken = [entry for entry, outcome in outcomes if outcome is not Outcome.STALE]
        stale = [(entry, namespace.entry(entry.key)) for entry, outcome in outcomes if outcome is Outcome.STALE]
    except Exception as error:  # whatever the store raises: whether it took the writes is not known, so they come again
        text = f"{type(error).__name__}: {error}"[:500]
        log.warning("Publishing failed", env=namespace.env, entries=len(entries), error=text)
        KvEntry.objects.filter(pk__in=_pks(entries)).update(error=text)
        namespace.close()
        return Drained(failed=len(entries))
    _mark_published(taken)
    for entry, held in stale:
        _outrun(namespace.env, entry, held)
    log.info("Published", env=namespace.env, entries=len(taken), overtaken=len(stale))
    return Drained(published=len(taken))


def _mark_published(entries: Iterable[KvEntry]) -> None:
    """`published_rev` becomes the rev that was sent, also where a newer one has been made meanwhile.

    An entry that somebody is changing at this moment is left out, as waiting for it could be a deadlock: it is sent
    again with its new rev.
    """
    now = timezone.now()
    sent = sorted(entries, key=lambda entry: entry.rev)
    with transaction.atomic():
        free = set(
            KvEntry.objects.filter(pk__in=_pks(sent)).select_for_update(skip_locked=True).values_list("pk", flat=True)
        )
        for rev, group in groupby(sent, key=lambda entry: entry.rev):
            pks = free.intersection(_pks(group))
            behind: dict[str, Any] = {"pk__in": pks, "published_rev__lt": rev}
            KvEntry.objects.filter(**behind, rev=rev).update(published_rev=rev, published_at=now, attempts=0, error="")
            KvEntry.objects.filter(**behind).update(published_rev=rev, published_at=now)


def _outrun(env: str, entry: KvEntry, held: Entry | None) -> None:
    """The store holds a newer rev than SQL, as after SQL was restored from a backup. SQL is the truth: go past it."""
    if held is None or held.rev < entry.rev:
        return  # gone meanwhile: the entry stays unpublished and is sent again
    rev = held.rev + 1
    now = timezone.now()
    raised = KvEntry.objects.filter(pk=entry.pk, rev=entry.rev, published_rev__lt=entry.rev).update(
        rev=rev, body=_with_rev(entry, rev), updated_at=now, next_at=now, attempts=0
    )
    if raised:
        log.warning("The store was ahead of SQL", env=env, key=entry.key, held=held.rev, rev=rev)


def _with_rev(entry: KvEntry, rev: int) -> bytes | None:
    return None if entry.body is None else msgspec.json.encode(msgspec.json.decode(bytes(entry.body)) | {"rev": rev})


def _pks(entries: Iterable[KvEntry]) -> list[int]:
    return [entry.pk for entry in entries]
