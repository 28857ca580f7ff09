"""The embedded engine behind the native protocol, used with the unmodified driver as a server is."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from clickhouse_driver import Client
from clickhouse_driver import errors as driver_errors

from tests.engine import PASSWORD, embedded_clickhouse

UNKNOWN_IDENTIFIER, UNKNOWN_TABLE, SYNTAX_ERROR, ZERO_DIVISION, UNKNOWN_SETTING, AUTHENTICATION_FAILED = (
    47,
    60,
    62,
    153,
    115,
    516,
)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with embedded_clickhouse(tmp_path_factory.mktemp("engine")) as found:
        yield found


@pytest.fixture
def client(port: int) -> Iterator[Client]:
    with contextlib.closing(_Closing(port)) as found:
        found.client.execute("CREATE DATABASE IF NOT EXISTS trial ENGINE = Atomic")
        yield found.client


class _Closing:
    def __init__(self, port: int, **options: object) -> None:
        self.client = Client("127.0.0.1", port=port, **({"password": PASSWORD} | options))

    def close(self) -> None:
        self.client.disconnect()


def test_it_speaks_clickhouse(client):
    asked = "SELECT 1 AS one, %(text)s AS text"
    rows, columns = client.execute(asked, {"text": "it's \\ 1"}, with_column_types=True)
    assert rows == [(1, "it's \\ 1")]
    assert columns == [("one", "UInt8"), ("text", "String")]
    assert client.connection.ping()
    assert client.execute("SHOW DATABASES LIKE 'trial'") == [("trial",)]
    assert client.execute("EXISTS TABLE trial.nowhere") == [(0,)]
    assert client.execute("-- why\n/* and how */ SELECT 2") == [(2,)]


def test_all_our_types_go_in_and_come_out(client):
    client.execute("DROP TABLE IF EXISTS trial.types")
    client.execute(
        "CREATE TABLE trial.types (id UUID, at DateTime64(3, 'UTC'), day Date, name LowCardinality(String),"
        " note String,"
        " units Map(LowCardinality(String), UInt64), tags Map(LowCardinality(String), String),"
        " cost Nullable(Decimal(38, 12)), flag Bool, small UInt16, list Array(Tuple(a String, b Nullable(Int32))))"
        " ENGINE = MergeTree ORDER BY id"
    )
    row = (
        uuid.uuid4(),
        datetime(2026, 11, 21, 8, 40, 12, 345000, tzinfo=UTC),
        date(2026, 2, 28),
        "größe",
        "x" * 300,
        {"input": 21, "output": 2**63 - 1},
        {"team": "search, and 'more'"},
        Decimal("99999999999999999999999999.999999999999"),
        True,
        65535,
        [("a", 1), ("", None)],
    )
    empty = (uuid.uuid4(), row[1], row[2], "", "", {}, {}, None, False, 0, [])
    client.execute("INSERT INTO trial.types VALUES", [row, empty])
    found = {each[0]: each for each in client.execute("SELECT * FROM trial.types")}
    assert found == {row[0]: row, empty[0]: empty}


def test_many_blocks_each_way(client):
    client.execute("DROP TABLE IF EXISTS trial.numbers")
    client.execute("CREATE TABLE trial.numbers (n UInt64, t LowCardinality(String)) ENGINE = MergeTree ORDER BY n")
    client.execute(
        "INSERT INTO trial.numbers VALUES",
        ((n, f"t{n % 5000}") for n in range(150_000)),
        settings={"insert_block_size": 20_000},
    )
    assert client.execute("SELECT count(), sum(n), uniqExact(t) FROM trial.numbers") == [(150_000, 11249925000, 5000)]
    assert sum(n for n, _ in client.execute_iter("SELECT n, t FROM trial.numbers")) == 11249925000


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT nothing_of_that_name", UNKNOWN_IDENTIFIER),
        ("SELECT * FROM trial.nowhere", UNKNOWN_TABLE),
        ("SELEKT 1", SYNTAX_ERROR),
        ("SELECT intDiv(1, number - 70000) FROM numbers(200000)", ZERO_DIVISION),
        ("INSERT INTO trial.nowhere (a) VALUES", UNKNOWN_TABLE),
    ],
)
def test_errors_carry_clickhouse_codes_and_the_connection_goes_on(client, sql, code):
    with pytest.raises(driver_errors.ServerException) as caught:
        list(client.execute(sql, [(1,)] if sql.startswith("INSERT") else None))
    assert caught.value.code == code
    assert client.execute("SELECT 1") == [(1,)]


def test_a_refused_insert_stores_nothing(client):
    client.execute("DROP TABLE IF EXISTS trial.checked")
    client.execute("CREATE TABLE trial.checked (n UInt8, CONSTRAINT small CHECK n < 10) ENGINE = MergeTree ORDER BY n")
    with pytest.raises(driver_errors.ServerException):
        client.execute("INSERT INTO trial.checked VALUES", [(1,), (11,)])
    assert client.execute("SELECT count() FROM trial.checked") == [(0,)]


def test_settings_hold_for_one_statement(client):
    ask = "SELECT value FROM system.settings WHERE name = 'max_result_rows'"
    before = client.execute(ask)
    assert client.execute(ask, settings={"max_result_rows": 77}) == [("77",)]
    assert client.execute(ask) == before
    with pytest.raises(driver_errors.ServerException) as caught:
        client.execute("SELECT 1", settings={"no_such_setting": 1})
    assert caught.value.code == UNKNOWN_SETTING


def test_times_without_a_zone_are_utc(client):
    assert client.execute("SELECT timezone(), toString(toDateTime(0))") == [("UTC", "1970-01-01 00:00:00")]


def test_several_clients_at_once(port):
    totals = []

    def work(number: int) -> None:
        with contextlib.closing(_Closing(port)) as own:
            for _ in range(20):
                totals.append(own.client.execute("SELECT sum(number) FROM numbers(%(n)s)", {"n": number})[0][0])

    threads = [threading.Thread(target=work, args=(1000 + n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(totals) == sorted((1000 + n) * (999 + n) // 2 for n in range(8) for _ in range(20))


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_password_is_asked_for(port, password):
    with contextlib.closing(_Closing(port, password=password)) as stranger:
        with pytest.raises(driver_errors.ServerException) as caught:
            stranger.client.execute("SELECT 1")
        assert caught.value.code == AUTHENTICATION_FAILED


def _start(data: os.PathLike[str], port: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SPENDOPS_DATA": str(data), "SPENDOPS_CLICKHOUSE_PORT": str(port)}
    command = [sys.executable, "-m", "spend.clickhouse.embedded"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_taken_port_stops_the_start_with_a_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = _start(tmp_path, taken.getsockname()[1])
    assert done.returncode == 2
    assert "is taken" in done.stderr
    assert "SPENDOPS_CLICKHOUSE_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_in_use_stops_the_start_with_a_sentence(tmp_path):
    with embedded_clickhouse(tmp_path), socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        other = free.getsockname()[1]
        free.close()
        done = _start(tmp_path, other)
    assert done.returncode == 2
    assert "already running" in done.stderr
    assert "Traceback" not in done.stderr


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path):
    """A writer that tries again after each failure; rows replace themselves, as usage events do."""
    acknowledged: list[int] = []
    for life in range(3):
        with embedded_clickhouse(tmp_path) as port, contextlib.closing(_Closing(port)) as own:
            own.client.execute("CREATE DATABASE IF NOT EXISTS trial ENGINE = Atomic")
            own.client.execute("CREATE TABLE IF NOT EXISTS trial.kept (n UInt64) ENGINE = MergeTree ORDER BY n")
            pid, enough = _pid_of(port), threading.Event()
            killer = threading.Thread(
                target=lambda pid=pid, enough=enough: enough.wait(60) and os.kill(pid, signal.SIGKILL)
            )
            killer.start()
            with contextlib.suppress(driver_errors.Error, EOFError, OSError):
                for batch in range(10_000):
                    first = life * 10_000_000 + batch * 100
                    own.client.execute("INSERT INTO trial.kept VALUES", [(first + n,) for n in range(100)])
                    acknowledged.append(first)
                    if batch == 5:  # soon, in the middle of whatever comes next
                        enough.set()
            killer.join()
    with embedded_clickhouse(tmp_path) as port, contextlib.closing(_Closing(port)) as own:
        kept = {n for (n,) in own.client.execute("SELECT n FROM trial.kept")}
    assert len(acknowledged) > 10
    assert {first + n for first in acknowledged for n in range(100)} <= kept


def _pid_of(port: int) -> int:
    """The process that listens on a port of ours, found by its open socket."""
    wanted = f":{port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    socket_name = next(f"socket:[{line[9]}]" for line in lines if line[1].endswith(wanted) and line[3] == "0A")
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (folder / "fd").iterdir():
                if str(descriptor.readlink()) == socket_name:
                    return int(folder.name)
    raise AssertionError(f"nobody listens on {port}")


def test_the_engine_does_without_packages_that_cost_memory(tmp_path):
    """chDB takes them when they are installed, for data frames that nobody asks it for."""
    asked = (
        "import sys; from pathlib import Path; from spend.clickhouse.embedded.engine import Engine;"
        f"Engine(Path({str(tmp_path / 'data')!r})).close();"
        "print(sorted({'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    folder = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, cwd=folder, check=True)
    assert done.stdout == "[]\n"
