"""What an endpoint of the sandbox gives back: one JSON document, or a stream's events."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

Body = dict[str, Any]


class BadRequest(Exception):
    """A request that a real provider would refuse with 400."""


class Whole(NamedTuple):
    """A plain answer."""

    document: Body


class Events(NamedTuple):
    """A stream: server-sent events, each complete."""

    events: list[bytes]


def event(document: Any, name: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + msgspec.json.encode(document) + b"\n\n"


def model_of(body: Body) -> str:
    """The model that was asked for. Raises BadRequest."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("you must provide a model parameter")
    return model


def limit_of(body: Body, *names: str) -> int | None:
    """The most tokens that an answer may have. Raises BadRequest."""
    for name in names:
        most = body.get(name)
        if most is None:
            continue
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise BadRequest(f"{name} must be a whole number from 1")
        return most
    return None


def listed(body: Body, name: str) -> list[Body]:
    """A list of objects in a request. Raises BadRequest."""
    value = body.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadRequest(f"{name} must be a list of objects")
    return value
