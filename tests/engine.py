"""The embedded ClickHouse as a process of its own, for tests: never in this one, whose children it would hang."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.ports import free_port

START_SECONDS = 60
PASSWORD = "the engine of the tests asks for this one"


@contextmanager
def embedded_clickhouse(folder: Path, **settings: str) -> Iterator[int]:
    """Serve a data folder on a free port, with further settings. Raises RuntimeError when it does not come up."""
    with clickhouse_process(folder, **settings) as (port, _):
        yield port


@contextmanager
def clickhouse_process(folder: Path, **settings: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The same for tests that kill it: the port, and the process."""
    port = free_port()
    with (folder / "engine.log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "spend.clickhouse.embedded"],
            env=os.environ
            | {
                "SPENDOPS_DATA": str(folder),
                "SPENDOPS_CLICKHOUSE_PORT": str(port),
                "SPENDOPS_CLICKHOUSE_PASSWORD": PASSWORD,
            }
            | settings,
            cwd=Path(__file__).resolve().parents[1],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(port, process, log.name)
            yield port, process
        finally:
            process.terminate()
            process.wait(timeout=30)


def clickhouse_url(port: int) -> str:
    """How our client reaches such an engine."""
    return f"clickhouse://default:{quote(PASSWORD)}@127.0.0.1:{port}/spendops"


def _wait_for(port: int, process: subprocess.Popen[bytes], log: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"The embedded ClickHouse did not come up:\n{Path(log).read_text()}")
