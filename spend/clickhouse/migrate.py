"""ClickHouse migrations: one statement a file, forward only, in the order of their names.

A table remembers each file's digest and whether it was started or done. ClickHouse has no transactions for DDL, so
every statement is written to be harmless when it is run again, and one that was only started is.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from clickhouse_driver import Client

from spend.clickhouse.client import connect, database, forget_connections, translated

FOLDER = Path(__file__).parent / "migrations"
TABLE = "schema_migrations"
_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS {database}.schema_migrations (
    name String,
    sha256 String,
    done Bool,
    at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(at) ORDER BY name
"""


class Migration(NamedTuple):
    """One file."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


class Plan(NamedTuple):
    """What is to be run, and the files that were edited after they had been run."""

    pending: list[Migration]
    edited: list[str]


class EditedMigrationError(RuntimeError):
    """A file that has been run was changed afterwards: what stands in the database is not what it says."""


def migrations() -> list[Migration]:
    """All files, in their order."""
    return [Migration(path.stem, path.read_text(encoding="utf-8").strip()) for path in sorted(FOLDER.glob("*.sql"))]


def plan() -> Plan:
    """Compare the files with what the database remembers."""
    with translated():
        client = connect("default")
        try:
            return _plan(client)
        finally:
            client.disconnect()


def migrate() -> list[str]:
    """Run what is pending; the names of what was run. Raises EditedMigrationError before anything is run."""
    with translated():
        client = connect("default")
        try:
            found = _plan(client)
            if found.edited:
                raise EditedMigrationError(
                    f"{', '.join(found.edited)} changed after it had been run: undo the edit, add a new file instead."
                )
            if found.pending:
                client.execute(f"CREATE DATABASE IF NOT EXISTS {database()} ENGINE = Atomic")
                client.execute(_CREATE_TABLE.format(database=database()))
            for migration in found.pending:
                _remember(client, migration, done=False)
                client.execute(migration.sql.format(database=database()))
                _remember(client, migration, done=True)
        finally:
            client.disconnect()
    forget_connections()  # theirs may have begun when the database did not exist
    return [migration.name for migration in found.pending]


def _plan(client: Client) -> Plan:
    exists = client.execute(f"EXISTS TABLE {database()}.{TABLE}")[0][0] if _has_database(client) else 0
    rows = client.execute(f"SELECT name, sha256, done FROM {database()}.{TABLE} FINAL") if exists else []  # noqa: S608
    known = {name: (sha256, done) for name, sha256, done in rows}
    files = migrations()
    return Plan(
        [each for each in files if not known.get(each.name, ("", False))[1]],
        [each.name for each in files if known.get(each.name, (each.sha256, False))[0] != each.sha256],
    )


def _has_database(client: Client) -> bool:
    found = client.execute("SELECT count() FROM system.databases WHERE name = %(name)s", {"name": database()})
    return bool(found[0][0])


def _remember(client: Client, migration: Migration, *, done: bool) -> None:
    rows = [(migration.name, migration.sha256, done)]
    client.execute(f"INSERT INTO {database()}.{TABLE} (name, sha256, done) VALUES", rows)
