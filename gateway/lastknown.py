"""A local copy of what this gateway last knew, so that it can start and go on while KV is away.

It holds documents as they stand in KV (hashes of keys, no keys). Only its own user may read it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from gateway.clock import Moment
from wire.env import SettingError
from wire.kv.base import Entry, digest_of
from wire.sqlite import immediate, open_database

log = structlog.get_logger(__name__)

FORM = 1
_SCHEMA = (
    """
CREATE TABLE documents (
    key TEXT PRIMARY KEY,
    rev INTEGER NOT NULL,
    digest TEXT NOT NULL,
    body BLOB
) WITHOUT ROWID
""",
    """
CREATE TABLE about (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    env TEXT NOT NULL,
    epoch TEXT NOT NULL,
    claimed INTEGER NOT NULL,
    wall REAL NOT NULL,
    elapsed REAL NOT NULL,
    boot TEXT NOT NULL
)
""",
    f"PRAGMA user_version = {FORM}",
)
# Two gateways of one environment may share a folder: the one that is behind does not undo what the other knows.
_PUT = """
INSERT INTO documents (key, rev, digest, body) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET rev = excluded.rev, digest = excluded.digest, body = excluded.body
WHERE excluded.rev >= documents.rev
"""
_TELL = "INSERT OR REPLACE INTO about (id, env, epoch, claimed, wall, elapsed, boot) VALUES (1, ?, ?, ?, ?, ?, ?)"


class Source(NamedTuple):
    """Where documents come from: the store's epoch, whether its `meta:env` was seen, when it was last in order."""

    epoch: str
    claimed: bool
    contact: Moment


class Copy(NamedTuple):
    """What a copy holds."""

    entries: list[Entry]
    source: Source


class _Unusable(Exception):
    """A copy that is damaged, or not ours to use."""


class LastKnown:
    """The copy of one environment. Used by one thread at a time. Nothing that goes wrong with it stops a gateway."""

    def __init__(self, path: Path, env: str) -> None:
        self._path = path
        self._env = env
        self._db: sqlite3.Connection | None = None
        self._failing = False

    def read(self) -> Copy | None:
        """What was kept; None when there is nothing, or nothing that may be used, which is then removed."""
        try:
            if not self._path.exists():
                return None
            return self._read(self._opened())
        except (_Unusable, sqlite3.Error, SettingError, OSError, ValueError) as error:
            log.warning("The local copy of policy is not used", error=str(error), file=self._path.name)
            self._remove()
            return None

    def write(self, changed: Mapping[str, Entry | None], source: Source) -> bool:
        """Keep documents and deletions (None: forget) and where they came from, in one transaction.

        Returns whether that was done.
        """
        try:
            db = self._opened()
            with immediate(db):
                gone = [(key,) for key, entry in changed.items() if entry is None]
                db.executemany("DELETE FROM documents WHERE key = ?", gone)
                db.executemany(_PUT, [tuple(entry) for entry in changed.values() if entry is not None])
                db.execute(_TELL, (self._env, source.epoch, source.claimed, *source.contact))
        except (sqlite3.Error, SettingError, OSError) as error:
            if not self._failing:
                log.error("The local copy of policy cannot be written; calls go on", error=str(error))
            self._failing = True
            self.close()
            return False
        self._failing = False
        return True

    def close(self) -> None:
        """Give the file back."""
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite gives its journal files the rights of the file itself.
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
            self._path.chmod(0o600)
            self._db = open_database(self._path, schema="", durable=False)
            with immediate(self._db):
                if self._db.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
                    for statement in _SCHEMA:
                        self._db.execute(statement)
        return self._db

    def _read(self, db: sqlite3.Connection) -> Copy | None:
        form = db.execute("PRAGMA user_version").fetchone()[0]
        if form != FORM:
            raise _Unusable(f"it has form {form}, and this gateway reads {FORM}")
        about = db.execute("SELECT env, epoch, claimed, wall, elapsed, boot FROM about").fetchone()
        if about is None:
            return None
        env, epoch, claimed, *contact = about
        if env != self._env:
            raise _Unusable(f"it is of the environment {env}")
        entries = [Entry(*row) for row in db.execute("SELECT key, rev, digest, body FROM documents")]
        if not all(map(_whole, entries)):
            raise _Unusable("a document in it was changed")
        wall, elapsed, boot = contact
        return Copy(entries, Source(str(epoch), bool(claimed), Moment(float(wall), float(elapsed), str(boot))))

    def _remove(self) -> None:
        self.close()
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                self._path.with_name(self._path.name + suffix).unlink()


def _whole(entry: Entry) -> bool:
    """SQLite keeps any type in any column."""
    known = isinstance(entry.key, str) and isinstance(entry.rev, int) and isinstance(entry.body, bytes | None)
    return known and digest_of(entry.body) == entry.digest
