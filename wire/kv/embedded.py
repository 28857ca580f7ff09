"""The embedded KV store: one SQLite WAL file per environment, apart from every other database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wire.env import SettingError
from wire.kv.base import (
    Changes,
    DocumentRefusedError,
    Entry,
    Outcome,
    Page,
    Standing,
    StoreRefusedError,
    StoreUnavailableError,
    Write,
    digest_of,
)
from wire.kv.embedded_errors import problem_of
from wire.sqlite import BUSY_SECONDS, immediate, open_database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY,
    rev INTEGER NOT NULL,
    digest TEXT NOT NULL,
    body BLOB,
    seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS entries_by_seq ON entries (seq);
CREATE TABLE IF NOT EXISTS epoch (id TEXT NOT NULL);
"""

_LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM entries"
_NEXT_SEQ = "(SELECT coalesce(max(seq), 0) + 1 FROM entries)"

# One statement decides and writes, so that two publishers cannot interleave: the older rev finds no row to update.
_WRITE = f"""
INSERT INTO entries (key, rev, digest, body, seq) VALUES (?, ?, ?, ?, {_NEXT_SEQ})
ON CONFLICT (key) DO UPDATE SET rev = excluded.rev, digest = excluded.digest, body = excluded.body, seq = {_NEXT_SEQ}
WHERE excluded.rev > entries.rev
"""  # noqa: S608 - built from a constant

_ADD = (
    f"INSERT INTO entries (key, rev, digest, body, seq) VALUES (?, 1, ?, ?, {_NEXT_SEQ}) ON CONFLICT (key) DO NOTHING"  # noqa: S608
)

_VARIABLES = 500  # of one statement


class EmbeddedKV:
    """A namespace in an SQLite file. Readers in other processes see a write after it is committed (under 1 ms)."""

    def __init__(self, path: Path, *, patience: float = BUSY_SECONDS) -> None:
        """`patience` is how many seconds a call waits for another process's transaction. Raises as all methods do."""
        self._path = path
        try:
            self._db = open_database(path, schema=_SCHEMA, durable=True, patience=patience)
        except SettingError as error:
            if isinstance(error.__cause__, sqlite3.Error):
                raise problem_of(error.__cause__, path) from error
            raise StoreRefusedError(str(error)) from error
        self._quiet: tuple[int, int] | None = None  # the version and mark after which nothing had changed
        try:
            self._file = path.stat().st_ino
            with self._used():
                self._epoch = self._epoch_of_file()
        except FileNotFoundError as error:
            self._db.close()
            raise StoreUnavailableError(f"{path.name} was moved away or replaced.") from error
        except BaseException:
            self._db.close()
            raise

    def get(self, key: str) -> bytes | None:
        with self._used():
            row = self._db.execute("SELECT body FROM entries WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def entry(self, key: str) -> Entry | None:
        with self._used():
            row = self._db.execute("SELECT key, rev, digest, body FROM entries WHERE key = ?", (key,)).fetchone()
        return Entry(*row) if row else None

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        outcomes = []
        self._quiet = None  # the version tells of other connections' writes only
        with self._used(), immediate(self._db):
            for key, rev, body, _ in writes:
                digest = digest_of(body)
                cursor = self._db.execute(_WRITE, (key, rev, digest, body))
                outcomes.append(Outcome.APPLIED if cursor.rowcount == 1 else self._why_not(key, rev, digest))
        return outcomes

    def _why_not(self, key: str, rev: int, digest: str) -> Outcome:
        held = self._db.execute("SELECT rev, digest FROM entries WHERE key = ?", (key,)).fetchone()
        return Outcome.REPEATED if held == (rev, digest) else Outcome.STALE

    def add(self, key: str, body: bytes) -> bool:
        self._quiet = None
        with self._used():
            return self._db.execute(_ADD, (key, digest_of(body), body)).rowcount == 1

    def list(self, prefix: str, *, after: str = "", most: int = 1000) -> Page:
        with self._used():
            rows = self._db.execute(
                "SELECT key, rev, digest, body FROM entries "
                "WHERE key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?",
                (after, prefix, prefix + "\U0010ffff", most),
            ).fetchall()
        entries = [Entry(*row) for row in rows]
        return Page(entries, entries[-1].key if len(entries) == most else "")

    def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        with self._used():
            for start in range(0, len(keys), _VARIABLES):
                part = keys[start : start + _VARIABLES]
                marks = ",".join("?" * len(part))
                rows = self._db.execute(f"SELECT key, rev, digest, body FROM entries WHERE key IN ({marks})", part)  # noqa: S608
                found.update((row[0], Entry(*row)) for row in rows)
        return found

    def changes(self, mark: int) -> Changes:
        with self._used():
            version = self._db.execute("PRAGMA data_version").fetchone()[0]
            if (version, mark) == self._quiet:
                return Changes([], mark, self._epoch)
            rows = self._db.execute("SELECT key, seq FROM entries WHERE seq > ? ORDER BY seq", (mark,)).fetchall()
            last = rows[-1][1] if rows else self._db.execute(_LAST_SEQ).fetchone()[0]
        changes = Changes([key for key, _ in rows], last, self._epoch)
        self._quiet = (version, changes.mark)
        return changes

    def _epoch_of_file(self) -> str:
        """The random id that this file was given once."""
        if self._db.execute("SELECT 1 FROM epoch").fetchone() is None:
            self._db.execute("INSERT INTO epoch SELECT hex(randomblob(8)) WHERE NOT EXISTS (SELECT 1 FROM epoch)")
        return str(self._db.execute("SELECT id FROM epoch").fetchone()[0])

    @contextmanager
    def _used(self) -> Iterator[None]:
        """Around whatever uses the file. An open one that was moved away or replaced can be used for ever, while
        nobody else looks at it any more.
        """
        try:
            same = self._path.stat().st_ino == self._file
        except OSError:
            same = False
        if not same:
            raise StoreUnavailableError(f"{self._path.name} was moved away or replaced.")
        try:
            yield
        except sqlite3.ProgrammingError:  # a mistake of ours, such as using what was closed
            raise
        except sqlite3.Error as error:
            raise problem_of(error, self._path) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise DocumentRefusedError(f"The embedded store cannot hold that: {error}.") from error

    def standing(self) -> Standing:
        with self._used():
            return Standing(self._epoch, self._db.execute(_LAST_SEQ).fetchone()[0])

    def listen(self, wake: Callable[[], None]) -> bool:
        return False  # looking at the file's version takes microseconds

    def close(self) -> None:
        self._db.close()
