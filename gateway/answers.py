"""Answers that the gateway writes itself."""

from __future__ import annotations

from gateway.incoming import Send
from gateway.receipts import Headers

_JSON = (b"content-type", b"application/json")


async def send_json(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """A whole JSON answer."""
    await send_whole(send, status, body, [_JSON, *headers])


async def send_whole(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """A whole answer; the headers say of what type."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
