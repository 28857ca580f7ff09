"""A namespace of each kind of store, and hands that write into it past publishing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta

import redis
from django.utils import timezone

from publishing.models import KvEntry
from wire.kv.base import Entry, Write, digest_of
from wire.kv.stores import Kind, Store


class Place:
    """The store of dev in a test."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def documents(self) -> dict[str, Entry]:
        """Everything in the namespace, deletions included, with bodies."""
        found: dict[str, Entry] = {}
        with closing(self.store.open()) as kv:
            after = ""
            while True:
                page = kv.list("", after=after)
                found |= kv.get_many([entry.key for entry in page.entries])
                after = page.after
                if not after:
                    return found

    def put(self, key: str, rev: int, body: bytes | None) -> None:
        """Have the namespace hold this, whatever it held."""
        self.put_all([key], rev, body)

    def put_all(self, keys: Sequence[str], rev: int, body: bytes | None) -> None:
        """Have the namespace hold the same under many keys."""
        if self.store.kind is Kind.CLOUDFLARE:
            with closing(self.store.open()) as kv:
                kv.write([Write(key, rev, body) for key in keys])
            return
        for key in keys:
            self._put(key, rev, body)

    def _put(self, key: str, rev: int, body: bytes | None) -> None:
        match self.store.kind:
            case Kind.EMBEDDED:
                with closing(sqlite3.connect(self.store.address)) as db, db:
                    db.execute(
                        "INSERT OR REPLACE INTO entries (key, rev, digest, body, seq)"
                        " VALUES (?, ?, ?, ?, (SELECT coalesce(max(seq), 0) + 1 FROM entries))",
                        (key, rev, digest_of(body), body),
                    )
            case Kind.REDIS:
                held = {"rev": rev, "digest": digest_of(body), "body": body or b"", "seq": 1}
                with self._redis() as client:
                    client.hset(self._document(key), mapping=held)
                    client.zadd(f"{{{self.store.namespace}}}:keys", {key: 0})

    def remove(self, key: str) -> None:
        """Have the namespace hold nothing under a key, and remember nothing."""
        match self.store.kind:
            case Kind.EMBEDDED:
                with closing(sqlite3.connect(self.store.address)) as db, db:
                    db.execute("DELETE FROM entries WHERE key = ?", (key,))
            case Kind.REDIS:
                with self._redis() as client:
                    client.delete(self._document(key))
                    client.zrem(f"{{{self.store.namespace}}}:keys", key)
            case Kind.CLOUDFLARE:
                with closing(self.store.open()) as kv:
                    kv.write([Write(key, 1, None)])

    def empty(self) -> None:
        """Have the namespace hold nothing at all."""
        match self.store.kind:
            case Kind.REDIS:
                with self._redis() as client:
                    for name in client.scan_iter(f"{{{self.store.namespace}}}:*"):
                        client.delete(name)
            case Kind.CLOUDFLARE:
                self.put_all(list(self.documents()), 1, None)
            case Kind.EMBEDDED:
                for key in self.documents():
                    self.remove(key)

    def let_listing_settle(self) -> None:
        """As if everything had been published long ago: listings of a far store are behind its writes."""
        KvEntry.objects.exclude(published_at=None).update(published_at=timezone.now() - timedelta(hours=1))

    def _document(self, key: str) -> str:
        return f"{{{self.store.namespace}}}:doc:{key}"

    def _redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.store.address, socket_timeout=10)
