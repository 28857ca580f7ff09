"""A TCP proxy that makes a connection go wrong at a chosen moment. It knows no protocol: a request is what a client
sends until the server answers.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

_LARGEST = 2**16


class Fault(StrEnum):
    """What becomes of a request."""

    NONE = "none"
    CUT_BEFORE = "cut before"  # the server hears nothing of it, the client is cut off
    CUT_WITHIN = "cut within"  # the server gets the first half of what came first, then both are cut off
    CUT_AFTER = "cut after"  # the server does it; its answer is lost and the client cut off
    CUT_ANSWER = "cut answer"  # the client gets the first half of the answer's beginning, and is cut off then
    STALL = "stall"  # nothing moves any more until the client gives up


class TcpProxy:
    """Listens on a free port of loopback and passes everything on, except for what is planned."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._plan: deque[Fault] = deque()
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._connections: set[_Connection] = set()
        self._accepting = self._accept_in_thread()

    def plan(self, *faults: Fault) -> None:
        """What becomes of the next requests, of any connection, one after the other. All others go well."""
        with self._lock:
            self._plan = deque(faults)

    @property
    def left(self) -> int:
        """How many planned faults have not happened yet."""
        return len(self._plan)

    def refuse(self) -> None:
        """Cut everybody off and let nobody connect, as when the server is gone."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join()
        self.cut()

    def accept(self) -> None:
        """Let people connect again, on the same port."""
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._accepting = self._accept_in_thread()

    def cut(self) -> None:
        """Cut everybody off who is connected now."""
        for connection in list(self._connections):
            connection.end()

    def close(self) -> None:
        """End all connections and give the port back."""
        self.refuse()

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _next_fault(self) -> Fault:
        with self._lock:
            return self._plan.popleft() if self._plan else Fault.NONE

    def _accept_in_thread(self) -> threading.Thread:
        thread = threading.Thread(target=self._accept_forever, args=(self._listening,), daemon=True)
        thread.start()
        return thread

    def _accept_forever(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:  # closed
                return
            try:
                server = socket.create_connection(self._upstream, timeout=5)
            except OSError:
                client.close()
                continue
            connection = _Connection(client, server)
            self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: _Connection) -> None:
        try:
            connection.pass_on(self._next_fault)
        except OSError:  # one side went away
            pass
        finally:
            connection.close()
            self._connections.discard(connection)


class _Connection:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._client = client
        self._server = server
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def pass_on(self, next_fault: Callable[[], Fault]) -> None:
        """Until one side hangs up or a fault ends it."""
        asking, fault = False, Fault.NONE
        with selectors.DefaultSelector() as selector:
            selector.register(self._client, selectors.EVENT_READ)
            selector.register(self._server, selectors.EVENT_READ)
            while True:
                for ready, _ in selector.select():
                    data = ready.fileobj.recv(_LARGEST)
                    if not data:
                        return
                    if ready.fileobj is self._client:
                        if not asking:
                            asking, fault = True, next_fault()
                        if not self._ask(data, fault):
                            return
                    else:
                        asking = False
                        if not self._answer(data, fault):
                            return

    def _ask(self, data: bytes, fault: Fault) -> bool:
        """Pass on what the client said. Returns whether the connection goes on."""
        if fault is Fault.CUT_BEFORE:
            return False
        if fault is Fault.CUT_WITHIN:
            self._server.sendall(data[: len(data) // 2])
            return False
        if fault is not Fault.STALL:
            self._server.sendall(data)
        return True

    def _answer(self, data: bytes, fault: Fault) -> bool:
        if fault is Fault.CUT_AFTER:
            return False
        if fault is Fault.CUT_ANSWER:
            self._client.sendall(data[: len(data) // 2])
            return False
        self._client.sendall(data)
        return True

    def end(self) -> None:
        """From another thread: the one that serves it closes it."""
        for each in (self._client, self._server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._client.close()
        self._server.close()
