"""A request as it comes in: its headers, looked at once, and its body, read within a limit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class BodyTooLarge(Exception):
    """The body is longer than this gateway takes."""


class BodyTooSlow(Exception):
    """The body did not come within the time that it may take."""


class CallerGone(Exception):
    """The caller closed the connection before the request was complete."""


class Incoming:
    """One HTTP request. Header names are lower case; of a header that comes twice, `header` has the last."""

    __slots__ = ("_by_name", "headers", "method", "path", "peer", "query")

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
        peer = scope.get("client")
        self.peer: str = peer[0] if peer else ""  # who opened the connection; "" on a socket without addresses
        self.headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        self._by_name = dict(self.headers)

    def header(self, name: bytes) -> str:
        """A header's value, "" when absent."""
        value = self._by_name.get(name)
        return value.decode("latin-1").strip() if value else ""

    @property
    def key(self) -> str:
        """The API key that was sent, as OpenAI's clients do or as Anthropic's do; "" when none was."""
        scheme, _, token = self.header(b"authorization").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
        return self.header(b"x-api-key")

    def address(self, *, behind_proxy: bool) -> str:
        """Where the request comes from. Behind a proxy it is what the proxy itself has seen: the last entry of
        X-Forwarded-For. Whatever stands before that was written by the caller, who may write anything. "" when the
        proxy does not say it: its own address is nobody's.
        """
        if behind_proxy:
            return _host(self.header(b"x-forwarded-for").rpartition(",")[2].strip())
        return self.peer

    @property
    def speaks_anthropic(self) -> bool:
        """Whether an Anthropic client is calling: they all say which version of the API they mean."""
        return b"anthropic-version" in self._by_name

    @property
    def request_id(self) -> str:
        """The caller's own id for this request, when it is one that may stand in headers and logs."""
        given = self.header(b"x-request-id")
        return given if _REQUEST_ID.fullmatch(given) else ""


def _host(entry: str) -> str:
    """An address without the port that some proxies add: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


async def read_body(request: Incoming, receive: Receive, most: int, *, seconds: float | None = None) -> bytes:
    """The whole body, which may take `seconds`.

    Raises BodyTooLarge as soon as that is certain, BodyTooSlow, and CallerGone when the caller hangs up.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _read(request, receive, most)
    except TimeoutError as error:
        raise BodyTooSlow from error


async def _read(request: Incoming, receive: Receive, most: int) -> bytes:
    announced = request.header(b"content-length")
    if announced.isdigit() and int(announced) > most:
        raise BodyTooLarge
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > most:
            raise BodyTooLarge
        return body
    parts, length = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise CallerGone
        part = message.get("body", b"")
        length += len(part)
        if length > most:
            raise BodyTooLarge
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()
