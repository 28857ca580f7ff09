"""`python -m tests.postgres -- COMMAND…`: run a command with a throw-away PostgreSQL in SPENDOPS_TEST_DATABASE_URL."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

ROLE = "spendops"
UP_WITHIN = 30  # seconds


class PostgresError(RuntimeError):
    """No cluster could be started; the text says what to do."""


def program(name: str) -> str:
    """Where one of PostgreSQL's programs is. Debian keeps the server's out of PATH."""
    found = [shutil.which(name) or ""]
    if shutil.which("pg_config"):
        folder = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False).stdout.strip()
        found.append(f"{folder}/{name}")
    found += sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), reverse=True)
    for path in found:
        if path and os.access(path, os.X_OK):
            return path
    raise PostgresError(f"PostgreSQL's {name} is missing. On Debian: sudo apt-get install postgresql")


def unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: its programs are then run as the user postgres."""
    if os.geteuid() != 0:
        return {}
    try:
        account = pwd.getpwnam("postgres")
    except KeyError as error:
        raise PostgresError("There is no user postgres. On Debian: sudo apt-get install postgresql") from error
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@contextmanager
def cluster() -> Iterator[str]:
    """A cluster on a free port of loopback, for as long as the block runs. Yields its address."""
    initdb, postgres, who = program("initdb"), program("postgres"), unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="spendops-postgres-"))
    password = secrets.token_hex(16)
    try:
        secret = folder / "password"
        secret.write_text(password, encoding="utf-8")
        if who:
            for path in (folder, secret):
                os.chown(path, who["user"], who["group"])
        data = folder / "data"
        setup = [initdb, "-D", str(data), "-U", ROLE, "-A", "scram-sha-256", f"--pwfile={secret}"]
        made = subprocess.run(
            [*setup, "-E", "UTF8", "--locale=C", "--no-sync"],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            **who,
        )
        if made.returncode:
            raise PostgresError(f"initdb failed:\n{made.stderr.strip()}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        quick = [part for name in ("fsync", "full_page_writes", "synchronous_commit") for part in ("-c", f"{name}=off")]
        with (folder / "log").open("w", encoding="utf-8") as log:
            server = subprocess.Popen(
                [postgres, "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), *quick],
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,  # Ctrl-C is for the command; the cluster is stopped after it
                **who,
            )
        try:
            address = f"postgresql://{ROLE}:{password}@127.0.0.1:{port}/postgres"
            _wait_until_up(server, address, log=folder / "log")
            yield address
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown: open connections are cut
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder)


def _wait_until_up(server: subprocess.Popen[bytes], address: str, *, log: Path) -> None:
    deadline = time.monotonic() + UP_WITHIN
    while True:
        try:
            psycopg.connect(address, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL did not start:\n{log.read_text(encoding='utf-8')}") from error
            time.sleep(0.05)
        else:
            return


def main(arguments: list[str]) -> int:
    if arguments[:1] != ["--"] or len(arguments) < 2:
        print("Usage: python -m tests.postgres -- COMMAND …", file=sys.stderr)
        return 2
    try:
        with cluster() as address:
            environment = os.environ | {"SPENDOPS_TEST_DATABASE_URL": address}
            try:
                return subprocess.run(arguments[1:], env=environment, check=False).returncode
            except KeyboardInterrupt:
                return 130
    except PostgresError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
