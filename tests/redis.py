"""A real redis-server for tests: a process of its own on a free port, in a folder of its own, ended by its id.

The one that Debian starts as a service, on port 6379, is never used.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.ports import free_port

UP_WITHIN = 20  # seconds


class RedisServer:
    """A redis-server that can be ended and started again on the same port, with what it kept."""

    def __init__(self, folder: Path, options: dict[str, str], *, tls: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self.options = options
        self.tls = tls
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Without a namespace."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket(self) -> Path:
        return self.folder / "redis.sock"

    def client(self) -> redis.Redis:
        """An admin's client, whom no ACL of a test concerns."""
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=10)

    def start(self) -> None:
        """Start it and wait until it answers. Raises RuntimeError when it does not."""
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is missing. On Debian: sudo apt-get install redis-server")
        fixed = {
            "port": "0" if self.tls else str(self.port),
            "tls-port": str(self.port) if self.tls else "0",
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "save": "",
            "daemonize": "no",
        }
        arguments = [part for name, value in (fixed | self.options).items() for part in (f"--{name}", *_words(value))]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, *arguments], cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        self._wait_until_up()

    def stop(self, *, kill: bool = False) -> None:
        """End it: cleanly, or as when the power goes."""
        if self.process is None:
            return
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _wait_until_up(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + UP_WITHIN
        while True:
            try:
                with self.client() as client:
                    client.ping()
            except redis.RedisError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "redis.log").read_text(encoding="utf-8", errors="replace")
                    raise RuntimeError(f"redis-server did not start:\n{log}") from error
                time.sleep(0.02)
            else:
                return


@contextmanager
def redis_server(folder: Path, *, tls: bool = False, **options: str) -> Iterator[RedisServer]:
    """A server for as long as the block runs; an option `a_b="c"` is its `--a-b c`. `tls`: its port speaks TLS only."""
    server = RedisServer(folder, {name.replace("_", "-"): value for name, value in options.items()}, tls=tls)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _words(value: str) -> list[str]:
    return value.split() or [""]
