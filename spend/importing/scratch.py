"""What must be remembered of a file while it is read: which rows came before. On disk, so that files may be large."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from typing import NamedTuple, Self

import msgspec

from spend.importing.rows import Row

_encode = msgspec.json.Encoder(order="deterministic").encode
_LOW_62 = 2**62 - 1


class Named(NamedTuple):
    """A row's event id, and whether the same file had it before."""

    event_id: str
    again: bool


class Scratch:
    """Names the rows of one file, in its order. A row without an identity is told from its equals by a number."""

    def __init__(self, tenant_id: str, source: str) -> None:
        self._of = f"{tenant_id}\x1f{source}\x1f"
        self._db = sqlite3.connect("", isolation_level=None)  # a file of its own that nobody sees, gone when closed
        self._db.execute("CREATE TABLE seen (what BLOB PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def name(self, row: Row) -> Named:
        """The id of a row: the same in whatever file it comes."""
        content = f"id\x1f{row.identity}".encode() if row.identity else b"row\x1f" + _encode(row)
        times = self._times(hashlib.sha256(content).digest()[:16])
        number = 0 if row.identity else times - 1
        digest = hashlib.sha256(self._of.encode() + content + f"\x1f{number}".encode()).digest()
        return Named(_uuid7(row.ts, int.from_bytes(digest[:10])), bool(row.identity) and times > 1)

    def _times(self, what: bytes) -> int:
        sql = "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times"
        with closing(self._db.execute(sql, (what,))) as found:
            return int(found.fetchone()[0])


def _uuid7(ms: int, chance: int) -> str:
    """A UUIDv7 of a moment (Unix ms) whose 74 bits of chance are given."""
    text = f"{ms << 80 | 0x7 << 76 | (chance >> 68) << 64 | 0b10 << 62 | chance & _LOW_62:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
