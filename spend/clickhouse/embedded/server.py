"""The listening side: loopback only, a limited number of connections, a thread each."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

from spend.clickhouse.embedded.engine import Engine
from spend.clickhouse.embedded.folder import FolderLock
from spend.clickhouse.embedded.session import Session
from wire.env import SettingError

CONNECTIONS_MOST = 48  # the engine takes three threads for each


class EmbeddedServer(socketserver.ThreadingTCPServer):
    """Serves one data folder. Raises SettingError when the folder or the port cannot be had."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, folder: Path, port: int, *, password: str, connections_most: int = CONNECTIONS_MOST) -> None:
        self.password = password
        self.connections_most = connections_most
        self._places = threading.BoundedSemaphore(connections_most)
        try:
            super().__init__(("127.0.0.1", port), Session)
        except OSError as error:
            raise SettingError(
                f"Port {port} for the embedded ClickHouse is taken ({error.strerror}): "
                "stop the other program or set SPENDOPS_CLICKHOUSE_PORT to a free port."
            ) from error
        try:
            self._lock = FolderLock(folder)
            self.engine = Engine(folder)
        except SettingError:
            self.server_close()
            raise

    @contextlib.contextmanager
    def place(self) -> Iterator[bool]:
        """A connection's place; False when none is free."""
        free = self._places.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                self._places.release()

    def close(self) -> None:
        """Stop listening and close the engine, which writes what is in its hands."""
        self.server_close()
        self.engine.close()
        self._lock.release()
