"""From desired state to KV: due entries are claimed, written, and marked with the rev that the store acknowledged.

A crash between any two of these steps sends an entry again, which the store sees is a repetition. So does an answer
that never came: what became of a write is not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import structlog
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from publishing import leases
from publishing.entries import with_rev
from publishing.expiry import expires_at
from publishing.guards import hold_back, hold_of_revival, is_confirmed, let_through
from publishing.models import KvEntry
from publishing.namespace import Namespace
from wire.documents import PRICING_BLOB, PRICING_VERSION
from wire.kv.base import DocumentRefusedError, Entry, Outcome, StoreUnavailableError, Write

log = structlog.get_logger(__name__)

_AT_ONCE = 1000


class Drained(NamedTuple):
    """How many entries were written, and how many could not be."""

    published: int = 0
    failed: int = 0

    def plus(self, other: Drained) -> Drained:
        return Drained(self.published + other.published, self.failed + other.failed)


def drain(namespace: Namespace, *, holder: str) -> Drained:
    """Write all entries of a namespace that are due. Does nothing while it is paused or another publisher holds it."""
    if leases.state_of(namespace.name).paused or (namespace.was_empty() and not _due(namespace).exists()):
        return Drained()
    try:
        ours = namespace.check()
        moved = ours and _stands_otherwise(namespace)
    except Exception as error:  # refused, or whatever the store raises: the entries stay due
        _pause(namespace, error)
        return Drained()
    if ours and not moved and not _due(namespace).exists():
        leases.resume(namespace.name)
        return Drained()
    if not leases.acquire(namespace.name, holder, lifetime=namespace.lease):
        return Drained()
    try:
        ready = _go_on(namespace) if ours else _begin(namespace)
        return _drain(namespace, holder) if ready else Drained()
    finally:
        leases.release(namespace.name, holder)


def _stands_otherwise(namespace: Namespace) -> bool:
    """Whether the store does not stand as it did last: somebody who has the lease must look why."""
    standing = namespace.standing()
    return standing is not None and standing != leases.standing_of(namespace.name)


def _go_on(namespace: Namespace) -> bool:
    try:
        _notice_losses(namespace)
    except Exception as error:
        _pause(namespace, error)
        return False
    return True


def _begin(namespace: Namespace) -> bool:
    """Take an empty namespace. What it held once, as we know, is sent again, so the rows say so before it is ours."""
    if _send_all_again(namespace):
        log.error("A namespace was emptied: everything is sent again", namespace=namespace.name)
    if not _due(namespace).exists():
        return False
    try:
        namespace.claim()
        standing = namespace.standing()
        if standing is not None:
            leases.note_standing(namespace.name, standing)
    except Exception as error:
        _pause(namespace, error)
        return False
    return True


def _notice_losses(namespace: Namespace, *, applied: int = 0) -> bool:
    """A store that was set back, as a Redis that restarts without its last writes is, is sent everything again.

    `applied` is how many writes it has acknowledged since it was looked at last. Returns whether it lost any. What it
    holds already is a repetition to it. How it stands is kept after the rows say so, in case of a crash; only who has
    the lease keeps it, so that nobody else's look comes between a write and what is made of its answer.
    """
    known = leases.standing_of(namespace.name)  # before the store is asked, which meanwhile can only get further
    standing = namespace.standing()
    if standing is None or (standing == known and not applied):
        return False
    lost = known is not None and standing.lost_since(known._replace(mark=known.mark + applied))
    if lost:
        count = _send_all_again(namespace)
        log.error("A store may have lost writes: everything is sent again", namespace=namespace.name, entries=count)
    leases.note_standing(namespace.name, standing)
    return lost


def _send_all_again(namespace: Namespace) -> int:
    """In pieces. One that comes after a crash finds the namespace still unclaimed, and does the rest."""
    count, last = 0, 0
    while pks := list(
        _entries(namespace)
        .filter(published_rev__gt=0, pk__gt=last)
        .order_by("pk")
        .values_list("pk", flat=True)[:_AT_ONCE]
    ):
        count += KvEntry.objects.filter(pk__in=pks).update(published_rev=0, next_at=timezone.now())
        last = pks[-1]
    return count


def _drain(namespace: Namespace, holder: str) -> Drained:
    total = Drained()
    while claimed := _claim(namespace):
        sent = _send_unless_held(namespace, claimed)
        total = total.plus(sent)
        if (sent.failed and leases.state_of(namespace.name).paused) or not _still_ours(namespace):
            return total
        if not leases.acquire(namespace.name, holder, lifetime=namespace.lease):
            break  # this batch took so long that another publisher goes on
    leases.resume(namespace.name)
    return total


def _still_ours(namespace: Namespace) -> bool:
    """What is emptied is not filled any further before it is claimed anew."""
    try:
        return namespace.check()
    except Exception as error:
        _pause(namespace, error)
        return False


def _entries(namespace: Namespace) -> QuerySet[KvEntry]:
    return KvEntry.objects.filter(env=namespace.env, store=namespace.store.id)


def _due(namespace: Namespace, *urgent: bool) -> QuerySet[KvEntry]:
    """Those that are urgent, those that are not, or both: said in the way that lets the index be used."""
    behind = _entries(namespace).filter(published_rev__lt=F("rev"), parked=False, next_at__lte=timezone.now())
    return behind.filter(urgent__in=urgent or (True, False))


def _claim(namespace: Namespace) -> list[KvEntry]:
    """Entries that are this publisher's to send: whoever else looks finds them due later only.

    What takes something away comes first, and of that the newest, so that nothing waits behind a bulk.
    """
    others = _due(namespace, False).exclude(key=PRICING_VERSION)
    with transaction.atomic():
        found = _locked(_due(namespace, True).order_by("-next_at"), namespace.batch)
        found = found or _version_of_a_blob_in_place(namespace)
        found = found or _locked(others.order_by("next_at"), namespace.batch)
        if found:
            until = timezone.now() + namespace.lease
            KvEntry.objects.filter(pk__in=_pks(found)).update(attempts=F("attempts") + 1, next_at=until)
    return found


def _locked(entries: QuerySet[KvEntry], most: int) -> list[KvEntry]:
    return list(entries.select_for_update(skip_locked=True)[:most])


def _version_of_a_blob_in_place(namespace: Namespace) -> list[KvEntry]:
    """The version is sent when the blob that it names is in the store, never before: readers wait for the one by the
    other. Both rows are held here, so that they belong to each other.
    """
    if not _due(namespace).filter(key=PRICING_VERSION).exists():
        return []
    held = {row.key: row for row in _locked(_entries(namespace).filter(key__in=(PRICING_BLOB, PRICING_VERSION)), 2)}
    blob, version = held.get(PRICING_BLOB), held.get(PRICING_VERSION)
    if blob is None or version is None or blob.published_rev < blob.rev or version.next_at > timezone.now():
        return []
    return [version]


def _send_unless_held(namespace: Namespace, entries: list[KvEntry]) -> Drained:
    """A guard may hold a document back until a person has confirmed it."""
    try:
        passed = let_through(entries, namespace.get_many, suspects=namespace.store.readable)
    except Exception as error:
        _pause(namespace, error)
        _give_back(entries)
        return Drained(failed=len(entries))
    return _send(namespace, passed)


def _send(namespace: Namespace, entries: list[KvEntry]) -> Drained:
    """Write entries. When the store will not have one of them, it is found by halving and parked; the others go on."""
    total = Drained()
    waiting = [entries] if entries else []
    while waiting:
        part = waiting.pop()
        try:
            outcomes = list(zip(part, _write(namespace, part), strict=True))
        except DocumentRefusedError as error:
            if len(part) == 1:
                _park(part[0], error)
                total = total.plus(Drained(failed=1))
            else:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            continue
        except Exception as error:  # whatever the store raises: whether it took the writes is not known
            unsent = [entry for each in (part, *waiting) for entry in each]
            _pause(namespace, error)
            _give_back(unsent)
            return total.plus(Drained(failed=len(unsent)))
        taken = [entry for entry, outcome in outcomes if outcome is not Outcome.STALE]
        _mark_published(taken)
        total = total.plus(Drained(published=len(taken)))
        stale = [entry for entry, outcome in outcomes if outcome is Outcome.STALE]
        log.info("Published", namespace=namespace.name, entries=len(taken), overtaken=len(stale))
        try:
            held = namespace.get_many([entry.key for entry in stale]) if stale else {}
            for entry in stale:
                _outrun(entry, held.get(entry.key))
        except Exception as error:
            _pause(namespace, error)
            unsent = [entry for each in (stale, *waiting) for entry in each]
            _give_back(unsent)
            return total.plus(Drained(failed=len(unsent)))
    return total


def _write(namespace: Namespace, entries: Sequence[KvEntry]) -> list[Outcome]:
    """Write entries and see that the store kept them. Nothing counts as published before that: a store that went back
    between its answer and the next look would be taken for one that has them.
    """
    outcomes = namespace.write(_writes(entries))
    if _notice_losses(namespace, applied=outcomes.count(Outcome.APPLIED)):
        raise StoreUnavailableError("The store was set back while it was written into: everything is sent again.")
    return outcomes


def _writes(entries: Iterable[KvEntry]) -> list[Write]:
    now = timezone.now()
    documents = ((entry, None if entry.body is None else bytes(entry.body)) for entry in entries)
    return [Write(entry.key, entry.rev, body, expires_at(entry.key, body, now=now)) for entry, body in documents]


def _pause(namespace: Namespace, error: Exception) -> None:
    """It is the store's failure and no document's: all of them wait, and go at once when it is back."""
    text = str(error)[:500] or type(error).__name__
    leases.pause(
        namespace.name, text, retry_after=error.retry_after if isinstance(error, StoreUnavailableError) else 0.0
    )
    namespace.close()


def _give_back(entries: Sequence[KvEntry]) -> None:
    """Entries that were claimed and not sent are due again at once."""
    KvEntry.objects.filter(pk__in=_pks(entries), published_rev__lt=F("rev")).update(next_at=timezone.now())


def _park(entry: KvEntry, error: Exception) -> None:
    text = str(error)[:500] or type(error).__name__
    log.error("A document is refused and parked", env=entry.env, store=entry.store, key=entry.key, error=text)
    KvEntry.objects.filter(pk=entry.pk, rev=entry.rev).update(parked=True, error=text)


def _mark_published(entries: Sequence[KvEntry]) -> None:
    """`published_rev` becomes the rev that was sent, also where a newer one has been made meanwhile.

    An entry that somebody is changing at this moment is left out, as waiting for it could be a deadlock: it is sent
    again with its new rev.
    """
    now = timezone.now()
    sent = {entry.pk: entry.rev for entry in entries}
    with transaction.atomic():
        rows = KvEntry.objects.filter(pk__in=list(sent)).select_for_update(skip_locked=True)
        revs = dict(rows.values_list("pk", "rev"))
        same = [pk for pk, rev in revs.items() if rev == sent[pk]]
        behind: dict[str, Any] = {"published_rev__lt": F("rev")}
        KvEntry.objects.filter(pk__in=same, **behind).update(
            published_rev=F("rev"), published_at=now, attempts=0, error=""
        )
        overtaken = sorted((sent[pk], pk) for pk, rev in revs.items() if rev != sent[pk])
        for rev, group in groupby(overtaken, key=lambda each: each[0]):
            pks = [pk for _, pk in group]
            KvEntry.objects.filter(pk__in=pks, published_rev__lt=rev).update(published_rev=rev, published_at=now)


def _outrun(entry: KvEntry, held: Entry | None) -> None:
    """The store holds a newer rev than SQL, as after SQL was restored from a backup. SQL is the truth: go past it, in
    all stores of the environment, whose revs are the same. But a key that is revoked there works again by a person's
    word only.
    """
    if held is None or held.rev < entry.rev:
        return  # gone meanwhile: the entry stays unpublished and is sent again
    hold = hold_of_revival(entry, held)
    if hold is not None and not is_confirmed(entry, hold):
        hold_back(entry, hold)
        return
    rev = held.rev + 1
    now = timezone.now()
    with transaction.atomic():
        rows = KvEntry.objects.filter(env=entry.env, key=entry.key).order_by("pk").select_for_update()
        own = next((row for row in rows if row.pk == entry.pk), None)
        if own is None or own.rev != entry.rev or own.published_rev >= own.rev:
            return
        for row in rows:
            if row.digest == own.digest:
                KvEntry.objects.filter(pk=row.pk, rev__lt=rev).update(
                    rev=rev,
                    body=with_rev(own.body, rev),
                    updated_at=now,
                    next_at=now,
                    attempts=0,
                    parked=False,
                    error="",
                )
    log.warning("The store was ahead of SQL", env=entry.env, store=entry.store, key=entry.key, held=held.rev, rev=rev)


def _pks(entries: Iterable[KvEntry]) -> list[int]:
    return [entry.pk for entry in entries]
