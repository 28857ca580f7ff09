"""What every KV store can do. A store is one namespace: that of one environment."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol


class Write(NamedTuple):
    """A document at a rev, or its deletion when `body` is None."""

    key: str
    rev: int
    body: bytes | None


class Outcome(StrEnum):
    """What became of a write."""

    APPLIED = "applied"
    REPEATED = "repeated"  # the store already held exactly this
    STALE = "stale"  # the store holds a newer rev, or a deletion at this rev or later


class Entry(NamedTuple):
    """What a store holds under a key. `body` is None for a deletion that is remembered."""

    key: str
    rev: int
    digest: str
    body: bytes | None


class Page(NamedTuple):
    """Part of a listing; `after` continues it and is "" at the end."""

    entries: list[Entry]
    after: str


class Changes(NamedTuple):
    """The keys that changed since a mark, and the mark to ask from next time."""

    keys: list[str]
    mark: int


class KV(Protocol):
    """One namespace. Not shared between threads: each opens its own."""

    def get(self, key: str) -> bytes | None:
        """The body under a key, or None when there is none."""

    def entry(self, key: str) -> Entry | None:
        """The body with its rev and digest; a remembered deletion has no body."""

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        """Apply writes in one go. An older rev never replaces a newer one, nor revives a deleted document."""

    def add(self, key: str, body: bytes) -> bool:
        """Write a document only if the key is free. Returns whether it was written."""

    def list(self, prefix: str, *, after: str = "", most: int = 1000) -> Page:
        """Entries whose key begins with a prefix, in the order of their keys, deletions included."""

    def changes(self, mark: int) -> Changes:
        """What changed since a mark; from mark 0, everything. Cheap when nothing did."""

    def close(self) -> None:
        """Give the store's resources back."""


def digest_of(body: bytes | None) -> str:
    """The digest that entries carry: SHA-256, 64 hexadecimal digits; "" for a deletion."""
    return "" if body is None else hashlib.sha256(body).hexdigest()
