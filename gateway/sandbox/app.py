"""The sandbox's ASGI program: paths, faults, errors in the API's own shape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from gateway.answers import send_json
from gateway.apis.base import Shape
from gateway.errors import error_body
from gateway.incoming import BodyTooLarge, CallerGone, Incoming, Receive, Scope, Send, read_body
from gateway.sandbox.answers import BadRequest, Body, Events, Whole
from gateway.sandbox.chat import chat
from gateway.sandbox.embeddings import embeddings
from gateway.sandbox.faults import Faults
from gateway.sandbox.messages import PromptCache, messages
from gateway.sandbox.responses import responses
from gateway.sandbox.text import short_hash
from wire.ids import event_id

_BODY_MOST = 64 * 2**20
_MODELS = ("gpt-4o-mini", "gpt-4o", "gpt-5", "gpt-5-mini", "o3", "text-embedding-3-small", "claude-sonnet-4-6")


class Sandbox:
    """A provider that answers everything itself."""

    def __init__(self) -> None:
        self._endpoints: dict[str, tuple[Shape, Callable[..., Whole | Events]]] = {
            "/v1/chat/completions": (Shape.OPENAI, chat),
            "/v1/responses": (Shape.OPENAI, responses),
            "/v1/embeddings": (Shape.OPENAI, embeddings),
            "/v1/messages": (Shape.ANTHROPIC, partial(messages, cache=PromptCache())),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        request = Incoming(scope)
        if request.method == "GET" and request.path in ("/health", "/v1/models"):
            models = [{"id": name, "object": "model", "created": 0, "owned_by": "sandbox"} for name in _MODELS]
            document: Any = {"status": "ok"} if request.path == "/health" else {"object": "list", "data": models}
            await send_json(send, 200, msgspec.json.encode(document), [])
            return
        found = self._endpoints.get(request.path)
        if found is None or request.method != "POST":
            await _error(send, Shape.OPENAI, 404, "The sandbox has no such path.")
            return
        shape, answer = found
        try:
            faults = Faults.parse(request.header(b"x-sandbox-fault"))
            body = _object(await read_body(request, receive, _BODY_MOST))
            if faults.delay:
                await asyncio.sleep(faults.delay)
            if faults.status:
                await _error(send, shape, faults.status, "The sandbox was asked to fail.")
                return
            made = answer(body, with_usage=not faults.no_usage)
        except CallerGone:
            return
        except BodyTooLarge:
            await _error(send, shape, 413, "The request is too large for the sandbox.")
            return
        except (BadRequest, ValueError) as error:
            await _error(send, shape, 400, str(error))
            return
        headers = [_id_header(shape, short_hash(body))]
        if isinstance(made, Events):
            await _send_stream(send, made, faults, headers)
        else:
            await _send_whole(send, made, faults, headers)


async def _send_whole(send: Send, made: Whole, faults: Faults, headers: list[tuple[bytes, bytes]]) -> None:
    raw = msgspec.json.encode(made.document)
    if faults.cut_after is None:
        await send_json(send, 200, raw, headers)
        return
    length = (b"content-length", str(len(raw)).encode())
    start = {"type": "http.response.start", "status": 200, "headers": [_JSON, length, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": raw[: len(raw) // 2], "more_body": True})


async def _send_stream(send: Send, made: Events, faults: Faults, headers: list[tuple[bytes, bytes]]) -> None:
    """Each event is a write of its own. A cut answer is left unfinished, whereupon the server drops the connection."""
    kind = (b"content-type", b"text/event-stream; charset=utf-8")
    await send({"type": "http.response.start", "status": 200, "headers": [kind, *headers]})
    for number, event in enumerate(made.events):
        if number == faults.cut_after:
            return
        await send({"type": "http.response.body", "body": event, "more_body": True})
        if faults.pace:
            await asyncio.sleep(faults.pace)
    await send({"type": "http.response.body"})


_JSON = (b"content-type", b"application/json")


def _object(raw: bytes) -> Body:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not a JSON object: {error}") from error


def _id_header(shape: Shape, request_id: str) -> tuple[bytes, bytes]:
    name = b"request-id" if shape is Shape.ANTHROPIC else b"x-request-id"
    return name, f"req_{request_id}".encode()


async def _error(send: Send, shape: Shape, status: int, message: str) -> None:
    request_id = f"req_{event_id()}"
    body = error_body(shape, status, "sandbox", message, request_id)
    await send_json(send, status, body, [_id_header(shape, request_id)])
