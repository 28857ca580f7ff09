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

    __slots__ = ("_by_name", "headers", "method", "path", "query")

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
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

    @property
    def speaks_anthropic(self) -> bool:
        """Whether an Anthropic client is calling: they all say which version of the API they mean."""
        return b"anthropic-version" in self._by_name

    @property
    def request_id(self) -> str:
        """The caller's own id for this request, when it is one that may stand in headers and logs."""
        given = self.header(b"x-request-id")
        return given if _REQUEST_ID.fullmatch(given) else ""


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
