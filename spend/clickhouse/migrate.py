"""ClickHouse migrations: one statement a file, forward only, in the order of their names.

A table remembers each file's digest and whether it was started or done. ClickHouse has no transactions for DDL, so
every statement is written to be harmless when it is run again, and one that was only started is. How long rows are
kept is a setting and no file: it is compared with what the tables say.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clickhouse_driver import Client
from django.conf import settings

from spend.clickhouse.client import connect, database, forget_connections, translated
from spend.clickhouse.ddl import create_database, rendered

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
_KEPT = re.compile(r" TTL .*?toIntervalDay\((\d+)\)")


class Migration(NamedTuple):
    """One file."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def rendered(self) -> str:
        """The text as it is run here."""
        return rendered(self.sql, cluster=settings.CLICKHOUSE_CLUSTER)


class Plan(NamedTuple):
    """Files to be run, files that were edited after they had been run, and what changes how long rows stay."""

    pending: list[Migration]
    edited: list[str]
    retention: list[Migration]


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
                client.execute(create_database(cluster=settings.CLICKHOUSE_CLUSTER))
                client.execute(rendered(_CREATE_TABLE.strip(), cluster=settings.CLICKHOUSE_CLUSTER))
            for migration in found.pending:
                _remember(client, migration, done=False)
                client.execute(migration.rendered)
                _remember(client, migration, done=True)
            retention = list(_retention(client))
            for change in retention:
                client.execute(change.rendered)
        finally:
            client.disconnect()
    forget_connections()  # theirs may have begun when the database did not exist
    return [each.name for each in (*found.pending, *retention)]


def _plan(client: Client) -> Plan:
    exists = client.execute(f"EXISTS TABLE {database()}.{TABLE}")[0][0] if _has_database(client) else 0
    rows = client.execute(f"SELECT name, sha256, done FROM {database()}.{TABLE} FINAL") if exists else []  # noqa: S608
    known = {name: (sha256, done) for name, sha256, done in rows}
    files = migrations()
    return Plan(
        [each for each in files if not known.get(each.name, ("", False))[1]],
        [each.name for each in files if known.get(each.name, (each.sha256, False))[0] != each.sha256],
        list(_retention(client)) if exists else [],
    )


def _retention(client: Client) -> Iterator[Migration]:
    """The statements that make tables keep their rows as long as the settings say.

    Whole parts go when all their rows are old enough, so that nothing is written anew for the sake of few.
    """
    wanted = {"usage_events": settings.USAGE_RETENTION_DAYS, "denial_events": settings.DENIAL_RETENTION_DAYS}
    stand = client.execute(
        "SELECT name, engine_full FROM system.tables WHERE database = %(database)s AND name IN %(names)s ORDER BY name",
        {"database": database(), "names": tuple(wanted)},
    )
    for name, engine in stand:
        found = _KEPT.search(engine)
        days = wanted[name]
        if days == (int(found[1]) if found else 0):
            continue
        table = f"ALTER TABLE {{database}}.{name}"
        if days:
            yield Migration(f"retention of {name}: whole parts", f"{table} MODIFY SETTING ttl_only_drop_parts = 1")
            kept = f"{table} MODIFY TTL toDateTime(ts) + toIntervalDay({days})"
            yield Migration(f"retention of {name}: {days} days", kept)
        else:
            yield Migration(f"retention of {name}: for ever", f"{table} REMOVE TTL")
            yield Migration(f"retention of {name}: as it was", f"{table} RESET SETTING ttl_only_drop_parts")


def _has_database(client: Client) -> bool:
    found = client.execute("SELECT count() FROM system.databases WHERE name = %(name)s", {"name": database()})
    return bool(found[0][0])


def _remember(client: Client, migration: Migration, *, done: bool) -> None:
    rows = [(migration.name, migration.sha256, done)]
    client.execute(f"INSERT INTO {database()}.{TABLE} (name, sha256, done) VALUES", rows)
