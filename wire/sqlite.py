"""How the embedded stores open their SQLite files: WAL, explicit transactions, a sentence when it cannot be done."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wire.env import SettingError

BUSY_SECONDS = 10


def open_database(
    path: Path,
    *,
    schema: str,
    durable: bool,
    patience: float = BUSY_SECONDS,
    upgrade: Callable[[sqlite3.Connection], None] = lambda _: None,
) -> sqlite3.Connection:
    """Open or create a WAL database in autocommit mode: transactions are begun explicitly, with BEGIN IMMEDIATE.

    `durable` asks for a full sync at each commit (survives loss of power); without it a commit survives only the
    death of processes. `patience` is how many seconds a statement waits for another process's transaction.
    `upgrade` brings a file of a former version up to the schema; nothing of an interrupted one may stay.
    Raises SettingError when the file or its folder cannot be used; its cause is SQLite's error.
    """
    connection: sqlite3.Connection | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, timeout=patience, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.executescript(schema)
        upgrade(connection)
    except (OSError, sqlite3.DatabaseError) as error:
        if connection is not None:
            connection.close()
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
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors, such as a full disk, end it by themselves
            connection.execute("ROLLBACK")
        raise
