"""What SQLite's errors mean for us: what passes, what somebody has to correct, what is the document's fault."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from wire.kv.base import DocumentRefusedError, StoreRefusedError, StoreUnavailableError

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_FORBIDDEN = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}


def problem_of(error: sqlite3.Error, path: Path) -> StoreUnavailableError | StoreRefusedError | DocumentRefusedError:
    """The error that an error of SQLite stands for. A full disk, or a lock that lasts, may pass."""
    # the first eight bits say what it is, the others more precisely so
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_TOOBIG or isinstance(error, sqlite3.DataError):
        return DocumentRefusedError(f"A document is larger than SQLite takes ({error}).")
    if code in _DAMAGED:
        return StoreRefusedError(
            f"{path} is damaged ({error}): stop everything, move it and the files -wal and -shm beside it away, "
            "start again, and run `manage.py republish`."
        )
    if code in _FORBIDDEN:
        return StoreRefusedError(f"{path} cannot be used ({error}): make it and its folder readable and writable.")
    return StoreUnavailableError(f"{path.name} could not be used: {error}.")
