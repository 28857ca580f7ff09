"""How the embedded stores open their SQLite files: WAL, explicit transactions, a sentence when it cannot be done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wire.env import SettingError

BUSY_SECONDS = 10


def open_database(path: Path, *, schema: str, durable: bool) -> sqlite3.Connection:
    """Open or create a WAL database in autocommit mode: transactions are begun explicitly, with BEGIN IMMEDIATE.

    `durable` asks for a full sync at each commit (survives loss of power); without it a commit survives only the
    death of processes. Raises SettingError when the folder cannot be used.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.executescript(schema)
    except (OSError, sqlite3.OperationalError) as error:
        raise SettingError(
            f"The data file {path} cannot be opened ({error}): make its folder writable or set SPENDOPS_DATA."
        ) from error
    return connection


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK: under WAL a read that turns into a write would fail at once."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
