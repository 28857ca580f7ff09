"""What every KV store can do. A store is one namespace: that of one environment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol


class Write(NamedTuple):
    """A document at a rev, or its deletion when `body` is None.

    From `expires` on (Unix seconds, 0 = never) a store that can forgets the document by itself, a minute late at most:
    a second wall behind publishing's own deletion. Stores that remember deletions leave it to that one.
    """

    key: str
    rev: int
    body: bytes | None
    expires: int = 0


class Outcome(StrEnum):
    """What became of a write."""

    APPLIED = "applied"
    REPEATED = "repeated"  # the store already held exactly this
    STALE = "stale"  # the store holds a newer rev, or a deletion at this rev or later


class Entry(NamedTuple):
    """What a store holds under a key. `body` is None for a deletion that is remembered, which has no digest either,
    and in listings of stores that list without bodies.
    """

    key: str
    rev: int
    digest: str
    body: bytes | None

    @property
    def deleted(self) -> bool:
        """Whether this only remembers that a document was deleted."""
        return not self.digest


class Page(NamedTuple):
    """Part of a listing; `after` continues it and is "" at the end. It is the store's own and is passed on as it came:
    some stores put a key there, others a cursor.
    """

    entries: list[Entry]
    after: str


class Changes(NamedTuple):
    """The keys that changed since a mark, and the mark to ask from next time.

    Marks compare within one `epoch`: a store that was emptied, or replaced by another, has another one. A mark below
    the one that was asked from says that the store was set back, as by a restore: what changed is not known then.
    """

    keys: list[str]
    mark: int
    epoch: str = ""


class Standing(NamedTuple):
    """How far a store has come: its epoch, and the mark of its newest change. Compared as `Changes` are."""

    epoch: str
    mark: int

    def lost_since(self, known: Standing) -> bool:
        """Whether something that was in the store may be gone since it stood as is known."""
        return self.epoch != known.epoch or self.mark < known.mark


class StoreUnavailableError(Exception):
    """The store did not answer, or asked to be left alone: whether it took a write is not known. It concerns the whole
    namespace. `retry_after` is in seconds, 0 when the store named no time.
    """

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreRefusedError(Exception):
    """The store will have nothing from us until somebody corrects the configuration, such as a token that ended."""


class DocumentRefusedError(Exception):
    """The store will never take what was sent, such as a document that is too large. Of several writes that were sent
    at once, at least one is to blame; none was applied, or it is not known which.
    """


class KV(Protocol):
    """One namespace, as publishing sees it. Not shared between threads: each opens its own.

    Every method raises StoreUnavailableError or StoreRefusedError; `write` and `add` also DocumentRefusedError.
    """

    def get(self, key: str) -> bytes | None:
        """The body under a key, or None when there is none."""

    def entry(self, key: str) -> Entry | None:
        """The body with its rev and digest; a remembered deletion has no body."""

    def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries of up to a few thousand keys in as few round trips as the store allows, remembered deletions
        included; a key that the store knows nothing of is absent.
        """

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        """Apply writes. An older rev never replaces a newer one, nor revives a deleted document; a store without
        compare-and-set applies all, and reconciling finds what it did wrong.
        """

    def add(self, key: str, body: bytes) -> bool:
        """Write a document only if the key is free. Returns whether it was written."""

    def list(self, prefix: str, *, after: str = "", most: int = 1000) -> Page:
        """Entries whose key begins with a prefix, in the order of their keys; remembered deletions included."""

    def close(self) -> None:
        """Give the store's resources back."""


class ReadableKV(KV, Protocol):
    """A namespace that a gateway reads: it also tells what changed."""

    def changes(self, mark: int) -> Changes:
        """What changed since a mark; from mark 0, everything. Cheap when nothing did."""

    def standing(self) -> Standing:
        """How far the store has come, without asking what changed."""

    def listen(self, wake: Callable[[], None]) -> bool:
        """Call `wake`, from any thread, at each change from here on until `close()`.

        False when the store cannot tell by itself: then `changes` is to be asked every few milliseconds. A listener
        may miss a change while its connection is down, so `changes` is to be asked now and then in any case.
        """


def digest_of(body: bytes | None) -> str:
    """The digest that entries carry: SHA-256, 64 hexadecimal digits; "" for a deletion."""
    return "" if body is None else hashlib.sha256(body).hexdigest()
