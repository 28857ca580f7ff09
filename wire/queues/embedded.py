"""The embedded queue: tables in one SQLite WAL file per environment.

Bodies have a table of their own. They are long: in the rows that a claim changes, each claim would write them again.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path

from wire.queues.base import Depth, Limits, Message
from wire.sqlite import BUSY_SECONDS, immediate, open_database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    visible_at INTEGER NOT NULL,
    sent_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS bodies (
    id INTEGER PRIMARY KEY,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_waiting ON messages (queue, visible_at, id);
CREATE INDEX IF NOT EXISTS messages_by_age ON messages (queue, sent_at);
CREATE TABLE IF NOT EXISTS dead_messages (
    id INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    body BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    buried_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS dead_messages_by_age ON dead_messages (queue, sent_at);
-- what is deleted is overwritten where that costs no further write
PRAGMA secure_delete = FAST;
"""
# A file of a former version has the bodies in `messages`. One transaction moves them; who opens it meanwhile waits.
_FORMER = "SELECT 1 FROM pragma_table_info('messages') WHERE name = 'body'"
_TAKE_OVER = ("INSERT INTO bodies (id, body) SELECT id, body FROM messages", "ALTER TABLE messages DROP COLUMN body")
_TAKE_OVER_SECONDS = 600


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class EmbeddedQueue:
    """A queue in an SQLite file, for any number of processes on one machine, and of threads."""

    def __init__(self, path: Path, name: str, limits: Limits | None = None) -> None:
        self.name = name
        self.limits = limits or Limits()
        self._db = open_database(path, schema=_SCHEMA, durable=True, upgrade=_take_over)
        self._lock = threading.Lock()  # a connection has one transaction at a time

    def send(self, bodies: Sequence[bytes]) -> None:
        now = _now_ms()
        with self._transaction():
            self._db.executemany(
                "INSERT INTO messages (queue, visible_at, sent_at) VALUES (?, ?, ?)",
                repeat((self.name, now, now), len(bodies)),
            )
            (last,) = self._db.execute("SELECT last_insert_rowid()").fetchone()
            ids = range(last - len(bodies) + 1, last + 1)  # those of a transaction are consecutive
            self._db.executemany("INSERT INTO bodies (id, body) VALUES (?, ?)", zip(ids, bodies, strict=True))

    def claim(self, most: int | None = None) -> list[Message]:
        now = _now_ms()
        if not self._anything_visible(now):  # a look costs no lock; consumers look often
            return []
        with self._transaction():
            found = self._db.execute(
                "SELECT id FROM messages WHERE queue = ? AND visible_at <= ? ORDER BY visible_at, id LIMIT ?",
                (self.name, now, most or self.limits.batch),
            )
            runs = _runs(row[0] for row in found.fetchall())
            until = now + self.limits.visibility_seconds * 1000
            hide = "UPDATE messages SET attempts = attempts + 1, visible_at = ? WHERE id BETWEEN ? AND ?"
            self._db.executemany(hide, [(until, *run) for run in runs])
            read = "SELECT id, body, attempts, sent_at FROM messages JOIN bodies USING (id) WHERE id BETWEEN ? AND ?"
            messages = [Message(*row) for run in runs for row in self._db.execute(read, run)]
            self._bury(
                [message.id for message in messages if message.attempts > self.limits.retries],
                f"not acknowledged after {self.limits.retries} deliveries",
            )
        return [message for message in messages if message.attempts <= self.limits.retries]

    def _anything_visible(self, now: int) -> bool:
        sql = "SELECT 1 FROM messages WHERE queue = ? AND visible_at <= ? LIMIT 1"
        return self._db.execute(sql, (self.name, now)).fetchone() is not None

    def acknowledge(self, messages: Sequence[Message]) -> None:
        with self._transaction():
            self._remove(message.id for message in messages)

    def release(self, messages: Sequence[Message], *, delay_seconds: int = 0) -> None:
        at = _now_ms() + delay_seconds * 1000
        with self._transaction():
            self._db.executemany(
                "UPDATE messages SET visible_at = ?, attempts = max(attempts - 1, 0) WHERE id = ?",
                [(at, message.id) for message in messages],
            )

    def bury(self, messages: Sequence[Message], reason: str) -> None:
        with self._transaction():
            self._bury([message.id for message in messages], reason)

    def redeliver_dead(self) -> int:
        """Under the ids that they had, which no other message ever gets."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO messages (id, queue, visible_at, sent_at)"
                " SELECT id, queue, ?, sent_at FROM dead_messages WHERE queue = ?",
                (_now_ms(), self.name),
            )
            self._db.execute(
                "INSERT INTO bodies (id, body) SELECT id, body FROM dead_messages WHERE queue = ?", (self.name,)
            )
            return self._db.execute("DELETE FROM dead_messages WHERE queue = ?", (self.name,)).rowcount

    def depth(self) -> Depth:
        """In one statement, so that a message which is buried or redelivered meanwhile is seen in one place.

        Each part reads an index only: bodies are long, and the backlog may be too.
        """
        now = _now_ms()
        row = self._db.execute(
            "SELECT (SELECT count(*) FROM messages WHERE queue = :queue AND visible_at <= :now),"
            " (SELECT count(*) FROM messages WHERE queue = :queue AND visible_at > :now),"
            " (SELECT count(*) FROM dead_messages WHERE queue = :queue),"
            " (SELECT coalesce(min(sent_at), 0) FROM messages WHERE queue = :queue),"
            " (SELECT coalesce(min(sent_at), 0) FROM dead_messages WHERE queue = :queue)",
            {"queue": self.name, "now": now},
        ).fetchone()
        return Depth(*row)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, immediate(self._db):
            yield

    def _bury(self, ids: list[int], reason: str) -> None:
        now = _now_ms()
        self._db.executemany(
            "INSERT OR IGNORE INTO dead_messages (id, queue, body, attempts, sent_at, reason, buried_at)"
            " SELECT id, queue, body, attempts, sent_at, ?, ? FROM messages JOIN bodies USING (id) WHERE id = ?",
            [(reason, now, each) for each in ids],
        )
        self._remove(ids)

    def _remove(self, ids: Iterable[int]) -> None:
        runs = _runs(ids)
        for table in ("messages", "bodies"):
            self._db.executemany(f"DELETE FROM {table} WHERE id BETWEEN ? AND ?", runs)  # noqa: S608 - constants


def _take_over(database: sqlite3.Connection) -> None:
    if not database.execute(_FORMER).fetchone():
        return
    database.execute(f"PRAGMA busy_timeout = {_TAKE_OVER_SECONDS * 1000}")
    with immediate(database):
        if database.execute(_FORMER).fetchone():  # nobody else did it meanwhile
            for statement in _TAKE_OVER:
                database.execute(statement)
    database.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _runs(ids: Iterable[int]) -> list[tuple[int, int]]:
    """Ids as runs of consecutive ones, first and last: most are, and one statement then does for many."""
    runs: list[tuple[int, int]] = []
    for each in sorted(ids):
        if runs and runs[-1][1] == each - 1:
            runs[-1] = (runs[-1][0], each)
        else:
            runs.append((each, each))
    return runs
