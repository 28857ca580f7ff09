"""Comparing a store with SQL: two streams in the order of their keys, a piece in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.functions import Collate
from django.utils import timezone

from publishing.models import KvEntry
from publishing.namespace import OWNED_PREFIXES, Namespace
from publishing.reconcile.differences import Desired, Difference, Wrong, judge
from publishing.reconcile.truth import Truth, truths, truths_without_entry
from tenants.scope import across_tenants
from wire.documents import PRICING_BLOB, PRICING_VERSION
from wire.kv.base import Entry, StoreUnavailableError, digest_of

PIECE = 500


class Row(NamedTuple):
    """A KvEntry as it is compared. `settled` when the store acknowledged it, and its listing tells by now."""

    key: str
    rev: int
    body_digest: str
    content_digest: str
    settled: bool


@dataclass
class Looked:
    """What a look went through."""

    documents: int = 0  # that stand on one side at least
    in_sql: int = 0  # living ones
    in_store: int = 0
    waiting: int = 0  # of which a change is on its way: these are not compared


def look(
    namespace: Namespace, *, looked: Looked, settles_in: timedelta, renew: Callable[[], None]
) -> Iterator[Difference]:
    """All differences at this moment. What changes meanwhile may look like one: look twice.

    `settles_in` is how long the store's listing may be behind its writes. `renew` is called between pieces.
    Raises what the store raises.
    """
    with across_tenants("what is published belongs to every tenant"):
        env, store = namespace.env, namespace.store.id
        settled_by = timezone.now() - settles_in
        for prefix in sorted(OWNED_PREFIXES):
            pairs = _merged(_rows(env, store, prefix, settled_by), _entries(namespace, prefix))
            while piece := list(islice(pairs, PIECE)):
                yield from _judge_piece(piece, env, looked)
                renew()
        for said in truths_without_entry(env, store, piece=PIECE):
            for key, truth in said.items():
                if truth is not None and truth.digest:
                    looked.in_sql += 1
                    yield _unsaid(key, 0, truth)
            renew()


def _judge_piece(piece: list[tuple[Row | None, Entry | None]], env: str, looked: Looked) -> Iterator[Difference]:
    said = truths(env, [_key_of(*pair) for pair in piece])
    for row, held in piece:
        key = _key_of(row, held)
        looked.documents += 1
        looked.in_sql += bool(row and row.body_digest)
        looked.in_store += bool(held and not held.deleted)
        if (row is not None and not row.settled) or (key in said and said[key] is None):
            looked.waiting += 1
        elif found := _judge(key, row, held, said.get(key)):
            yield found


def _judge(key: str, row: Row | None, held: Entry | None, truth: Truth | None) -> Difference | None:
    if row is None:
        # what SQL has and no row says is found by going through the objects: it is not the store's fault
        return None if truth is not None and truth.digest else judge(None, held)
    if truth is not None and truth.digest != row.content_digest:
        return _unsaid(key, row.rev, truth)
    if truth is None and row.body_digest and key not in (PRICING_BLOB, PRICING_VERSION):
        held_rev, held_digest = (held.rev, held.digest) if held else (0, "")
        return Difference(Wrong.ORPHAN, key, row.rev, row.body_digest, held_rev, held_digest)
    return judge(Desired(key, row.rev, row.body_digest), held)


def _unsaid(key: str, rev: int, truth: Truth) -> Difference:
    return Difference(Wrong.UNSAID, key, rev, truth.digest, topic=truth.thing.topic.value, object_id=truth.thing.id)


def _key_of(row: Row | None, held: Entry | None) -> str:
    known = row or held
    assert known is not None  # noqa: S101 - for the type checker: a pair has one side at least
    return known.key


def _merged(rows: Iterator[Row], entries: Iterator[Entry]) -> Iterator[tuple[Row | None, Entry | None]]:
    row, entry = next(rows, None), next(entries, None)
    while row is not None or entry is not None:
        if entry is None or (row is not None and row.key < entry.key):
            yield row, None
            row = next(rows, None)
        elif row is None or entry.key < row.key:
            yield None, entry
            entry = next(entries, None)
        else:
            yield row, entry
            row, entry = next(rows, None), next(entries, None)


def _rows(env: str, store: str, prefix: str, settled_by: datetime) -> Iterator[Row]:
    """The ledger's rows of a store under a prefix, in the order of their keys' bytes, as stores list them."""
    rows = _in_order(KvEntry.objects.filter(env=env, store=store)).filter(in_order__lt=prefix[:-1] + ";")
    columns = ("key", "rev", "body", "digest", "published_rev", "published_at")
    last = prefix
    while page := list(rows.filter(in_order__gt=last).order_by("in_order").values_list(*columns)[:PIECE]):
        for key, rev, body, digest, published_rev, published_at in page:
            settled = published_rev >= rev and (published_at is None or published_at <= settled_by)
            yield Row(key, rev, digest_of(None if body is None else bytes(body)), digest, settled)
        last = page[-1][0]


def _in_order(rows: QuerySet[KvEntry]) -> QuerySet[Any]:
    """PostgreSQL's own order depends on its locale; SQLite's is that of bytes."""
    return rows.annotate(in_order=Collate("key", "C") if connection.vendor == "postgresql" else F("key"))


def _entries(namespace: Namespace, prefix: str) -> Iterator[Entry]:
    """What a store lists under a prefix. Where it lists bodies, the digest is that of the body that is really there."""
    after, last = "", ""
    while True:
        page = namespace.list(prefix, after=after)
        for entry in page.entries:
            if entry.key <= last or not entry.key.startswith(prefix):
                raise StoreUnavailableError("The store's listing is out of order: it cannot be compared.")
            last = entry.key
            yield entry if entry.body is None else Entry(entry.key, entry.rev, digest_of(entry.body), None)
        after = page.after
        if not after:
            return
