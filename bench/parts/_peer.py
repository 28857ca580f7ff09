"""The same events in one PostgreSQL table, with the indexes that the same questions want: what to compare with."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from tests.postgres import cluster, unprivileged

SHARE = 4  # every fourth tenant, with all its calls
_CHUNK = 1 << 20
_COLUMNS = {
    "event_id": "uuid",
    "ts": "timestamptz",
    "env": "text",
    "tenant_id": "text",
    "project_id": "text",
    "key_id": "text",
    "end_user": "text",
    "team": "text",
    "provider": "text",
    "model": "text",
    "status": "text",
    "input_tokens": "bigint",
    "output_tokens": "bigint",
    "cached_tokens": "bigint",
    "charge": "numeric(38, 12)",
    "duration_ms": "bigint",
    "request_id": "text",
}
_OF = {"team": "tags['team']", "model": "if(model_priced = '', model_asked, model_priced)", "ts": "toString(ts)"}
_SUMS = "count(*), sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(charge), sum(duration_ms)"
_WHERE = "tenant_id = %s AND ts >= %s::date AND ts < %s::date + 1"


class Peer:
    """A loaded table, and the pages' questions asked of it. Days are UTC days, which is the lighter question."""

    def __init__(self, connection: psycopg.Connection[Any], rows: int) -> None:
        self._connection = connection
        self.rows = rows

    def overview(self, tenant_id: str, days: tuple[date, date], before: tuple[date, date]) -> None:
        """Days by model, the days before, and what has no price."""
        self._ask(f"SELECT ts::date, model, {_SUMS} FROM events WHERE {_WHERE} GROUP BY 1, 2", tenant_id, *days)
        self._ask(f"SELECT env, {_SUMS} FROM events WHERE {_WHERE} GROUP BY 1", tenant_id, *before)
        self._ask(f"SELECT count(*), count(charge) FROM events WHERE {_WHERE}", tenant_id, *days)

    def explore(self, tenant_id: str, by: str, days: tuple[date, date], before: tuple[date, date]) -> None:
        """Groups, groups by day, and the groups of the days before."""
        for question in (f"{by}, {_SUMS}", f"ts::date, {by}, {_SUMS}"):
            groups = "1" if question.startswith(by) else "1, 2"
            self._ask(f"SELECT {question} FROM events WHERE {_WHERE} GROUP BY {groups}", tenant_id, *days)
        self._ask(f"SELECT {by}, {_SUMS} FROM events WHERE {_WHERE} GROUP BY 1", tenant_id, *before)

    def requests(self, tenant_id: str, days: tuple[date, date]) -> None:
        """The newest calls."""
        sql = f"SELECT * FROM events WHERE {_WHERE} ORDER BY ts DESC, event_id DESC LIMIT 51"
        self._ask(sql, tenant_id, *days)

    def one(self, tenant_id: str, event_id: str) -> None:
        """One call."""
        found = self._connection.execute(
            "SELECT * FROM events WHERE tenant_id = %s AND event_id = %s", (tenant_id, event_id)
        ).fetchall()
        assert len(found) == 1

    def insert_rate(self, events: int) -> float:
        """Events a second that are copied into the same table, 5,000 at a time, in one transaction each."""
        sql = f"SELECT {', '.join(_COLUMNS)} FROM events LIMIT {events}"
        rows = self._connection.execute(sql).fetchall()
        self._connection.execute("CREATE UNLOGGED TABLE more (LIKE events INCLUDING INDEXES)")
        began = time.perf_counter()
        for first in range(0, len(rows), 5_000):
            with (
                self._connection.transaction(),
                self._connection.cursor().copy(f"COPY more ({', '.join(_COLUMNS)}) FROM STDIN") as copy,
            ):
                for row in rows[first : first + 5_000]:
                    copy.write_row(row)
        return len(rows) / (time.perf_counter() - began)

    def _ask(self, sql: str, tenant_id: str, first: date, last: date) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, (tenant_id, first, last)).fetchall()


@contextmanager
def peer(tenants: Sequence[str], file: Path) -> Iterator[Peer]:
    """A PostgreSQL of its own that holds all calls of these tenants. They travel through a CSV file."""
    from spend.clickhouse.client import command

    columns = ", ".join(f"{_OF.get(name, name)} AS c_{name}" for name in _COLUMNS)
    command(
        f"INSERT INTO FUNCTION file('{file}', 'CSV') SELECT {columns} FROM usage_events FINAL"
        " WHERE tenant_id IN %(tenants)s SETTINGS format_csv_null_representation = '', session_timezone = 'UTC'",
        {"tenants": tuple(tenants)},
        purpose="bench",
    )
    assert unprivileged() is not None
    with cluster() as address, psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute("SET work_mem = '64MB'")
        shape = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        connection.execute(f"CREATE UNLOGGED TABLE events ({shape})")
        with connection.cursor().copy("COPY events FROM STDIN (FORMAT csv)") as copy, file.open("rb") as source:
            while chunk := source.read(_CHUNK):
                copy.write(chunk)
        file.unlink()
        connection.execute("CREATE UNIQUE INDEX ON events (event_id)")
        connection.execute("CREATE INDEX ON events (tenant_id, ts)")
        connection.execute("VACUUM ANALYZE events")
        rows = connection.execute("SELECT count(*) FROM events").fetchone()
        assert rows is not None
        yield Peer(connection, rows[0])
