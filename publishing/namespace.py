"""One store of an environment as publishing writes into it, with the check that it really is that environment's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import cast

import msgspec
import structlog

from publishing import leases
from publishing.errors import NamespaceRefusedError
from wire.documents import META_ENV, SCHEMA, encode
from wire.kv.base import KV, Entry, Outcome, Page, ReadableKV, Standing, Write
from wire.kv.stores import Kind, Store

log = structlog.get_logger(__name__)

# Longer than the calls of one batch may take: three of 95 s (`wire.kv.cloudflare.TIMEOUT`).
FAR_LEASE = timedelta(minutes=5)
OWNED_PREFIXES = ("key:", "tenant:", "pricing:", "routing:")


class Sentinel(msgspec.Struct, frozen=True, kw_only=True):
    """`meta:env`: which environment a namespace belongs to. Written once, into a namespace that is still empty."""

    schema: int = SCHEMA
    env: str


class Namespace:
    """Opened when first needed, and opened anew after `close()`, which is how a failed connection is got rid of.

    Belongs to one thread. Every method but `close()` raises what the store raises.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.env = store.env
        self.name = leases.name_of(store)
        far = store.kind is Kind.CLOUDFLARE  # each call counts, and takes seconds when it carries much
        self.batch = 10_000 if far else 500
        self.lease = FAR_LEASE if far else leases.LIFETIME
        self._trust_seconds = 60.0 if far else 0.0
        self._kv: KV | None = None
        self._ours = False  # since it was opened
        self._seen = 0.0  # when its sentinel was last looked at, in monotonic seconds
        self._seen_empty: float | None = None  # when it was last seen to be empty, in monotonic seconds

    def check(self) -> bool:
        """Whether the namespace says that it is this environment's; False when it is empty. Cheap: one look.

        Raises NamespaceRefusedError for another's namespace, and for one that holds documents and does not say whose.
        """
        if self._ours and time.monotonic() < self._seen + self._trust_seconds:
            return True
        self._ours = False
        body = self._opened().get(META_ENV)
        if body is None and not self._holds_documents():
            self._seen_empty = time.monotonic()
            return False
        self._note_ours(body)
        return True

    def was_empty(self) -> bool:
        """Whether it was seen to be empty so short a while ago that calls to look again are better saved, as long as
        there is nothing to write.
        """
        return self._seen_empty is not None and time.monotonic() < self._seen_empty + self._trust_seconds

    def claim(self) -> None:
        """Make an empty namespace this environment's. Raises NamespaceRefusedError when another one was faster."""
        kv = self._opened()
        kv.add(META_ENV, encode(Sentinel(env=self.env)))
        self._note_ours(kv.get(META_ENV))

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        """Write into a namespace that is ours; an empty one is claimed first. Raises NamespaceRefusedError."""
        if not self._ours and not self.check():
            self.claim()
        return self._opened().write(writes)

    def standing(self) -> Standing | None:
        """How far the store has come; None for one that cannot tell."""
        kv = self._opened()
        return cast(ReadableKV, kv).standing() if self.store.readable else None

    def entry(self, key: str) -> Entry | None:
        """What the namespace holds under a key."""
        return self._opened().entry(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """What the namespace holds under many keys; absent ones are left out."""
        return self._opened().get_many(keys)

    def list(self, prefix: str, *, after: str = "", most: int = 1000) -> Page:
        """Part of what the namespace holds under a prefix."""
        return self._opened().list(prefix, after=after, most=most)

    def close(self) -> None:
        """Give the connection back; the next use opens and checks anew. Raises nothing."""
        kv, self._kv = self._kv, None
        self._ours, self._seen_empty = False, None
        if kv is None:
            return
        try:
            kv.close()
        except Exception as error:  # whatever a store's client raises about a connection that nobody uses any more
            log.warning("A store's connection could not be closed", namespace=self.name, error=repr(error))

    def _opened(self) -> KV:
        if self._kv is None:
            self._kv = self.store.open()
        return self._kv

    def _holds_documents(self) -> bool:
        return any(self._opened().list(prefix, most=1).entries for prefix in OWNED_PREFIXES)

    def _note_ours(self, body: bytes | None) -> None:
        if body is None:
            raise NamespaceRefusedError(
                f"The KV namespace that is configured for {self.env} holds documents but no {META_ENV}, so it is not "
                f"known whose it is: nothing is written into {self.store.id}. Name an empty namespace, or the right "
                "one."
            )
        found = _environment(body)
        if found != self.env:
            raise NamespaceRefusedError(
                f"The KV namespace that is configured for {self.env} belongs to {found or 'an unknown environment'}: "
                f"nothing is written into {self.store.id}. Correct the configuration of the KV store."
            )
        self._ours, self._seen, self._seen_empty = True, time.monotonic(), None


def _environment(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=Sentinel).env
    except msgspec.DecodeError:
        return ""
