"""A proxy that makes an HTTP service fail as services do: it refuses, dies, answers too late, in part or not at all."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit

HELD_MOST = 30  # seconds that an answer is held back when the caller does not hang up

_OWN_HEADERS = frozenset({"connection", "transfer-encoding", "content-length", "host"})


class Answer(NamedTuple):
    """An answer to a request."""

    status: int
    headers: dict[str, str]
    body: bytes


class Ending(Enum):
    """What becomes of the answer."""

    WHOLE = 0
    HALF = 1  # the connection is cut in the middle of the body
    NONE = 2  # the connection is cut instead of an answer
    LATE = 3  # nothing comes until the caller hangs up


class Fault(NamedTuple):
    """What happens to one request: it reaches the service or not, and is answered like this."""

    arrives: bool = True
    answer: Answer | None = None  # instead of the service's own
    ending: Ending = Ending.WHOLE


PASS = Fault()
CUT_BEFORE = Fault(arrives=False, ending=Ending.NONE)
CUT_AFTER = Fault(ending=Ending.NONE)
HALF_ANSWER = Fault(ending=Ending.HALF)
LATE_BEFORE = Fault(arrives=False, ending=Ending.LATE)
LATE_AFTER = Fault(ending=Ending.LATE)


def answering(status: int, body: bytes = b"", *, arrives: bool = False, **headers: str) -> Fault:
    """An answer that is not the service's; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(arrives=arrives, answer=Answer(status, named, body))


class Request(NamedTuple):
    """A request that came in, and whether it went on to the service."""

    method: str
    path: str
    body: bytes
    arrived: bool


class Proxy:
    """Stands before a service. Requests meet the planned faults one after the other; without a plan they pass."""

    def __init__(self, service: str) -> None:
        self.seen: list[Request] = []
        self._plan: deque[Fault] = deque()
        self._service = urlsplit(service)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def plan(self, *faults: Fault) -> None:
        """What the next requests meet, in this order."""
        self._plan.extend(faults)

    @property
    def planned(self) -> int:
        """How many planned faults nobody has met yet."""
        return len(self._plan)

    def forget(self) -> None:
        """Drop the plan and what was seen."""
        self._plan.clear()
        self.seen.clear()

    @contextmanager
    def serving(self) -> Iterator[Proxy]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        there = HTTPConnection(self._service.hostname or "", self._service.port, timeout=HELD_MOST * 2)
        try:
            there.request(method, path, body=body or None, headers=headers)
            answer = there.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OWN_HEADERS}
            return Answer(answer.status, kept, answer.read())
        finally:
            there.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                fault = proxy._plan.popleft() if proxy._plan else PASS
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN_HEADERS}
                answer = fault.answer or Answer(200, {}, b"")
                if fault.arrives:
                    own = proxy._forward(self.command, self.path, headers, body)
                    answer = fault.answer or own
                proxy.seen.append(Request(self.command, self.path, body, fault.arrives))
                self.finish_with(answer, fault.ending)

            do_GET = do_PUT = do_POST = do_DELETE = serve

            def finish_with(self, answer: Answer, ending: Ending) -> None:
                self.close_connection = ending is not Ending.WHOLE
                if ending is Ending.LATE:
                    self.connection.settimeout(HELD_MOST)
                    self.connection.recv(1)  # nothing more is sent: it returns when the caller hangs up
                if ending in (Ending.LATE, Ending.NONE):
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response_only(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body[: len(answer.body) // 2] if ending is Ending.HALF else answer.body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Tests say themselves what went wrong."""

        return Handler


@contextmanager
def faulty(service: str) -> Iterator[Proxy]:
    """A proxy in front of a service's base URL, on a free port."""
    with Proxy(service).serving() as proxy:
        yield proxy
