"""Anthropic's messages: POST /v1/messages.

Wire format: https://docs.anthropic.com/en/api/messages and …/en/api/messages-streaming
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.apis.base import (
    ABSENT,
    NOTHING,
    UNREADABLE,
    Body,
    Reading,
    Shape,
    StreamReader,
    Verdict,
    part,
    present,
    text,
)
from gateway.apis.usage import count_of, is_count, without_zeros
from gateway.estimate import text_bytes


class _Usage(msgspec.Struct):
    input_tokens: Any = None
    output_tokens: Any = None
    cache_creation_input_tokens: Any = None
    cache_read_input_tokens: Any = None
    cache_creation: Any = None
    server_tool_use: Any = None
    service_tier: Any = None
    speed: Any = None


class _Message(msgspec.Struct):
    error: msgspec.Raw = ABSENT
    model: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT


class _Delta(msgspec.Struct):
    text: Any = None
    thinking: Any = None
    partial_json: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    message: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    delta: msgspec.Raw = ABSENT


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_usage = msgspec.json.Decoder(_Usage).decode
_decode_delta = msgspec.json.Decoder(_Delta).decode


class Messages:
    """Messages, plain and streamed."""

    path = "/v1/messages"
    suffix = "/messages"
    use = "messages"
    shape = Shape.ANTHROPIC

    def problem(self, body: Body) -> str | None:
        return None

    def streamed(self, body: Body) -> bool:
        return body.get("stream") is True

    def ask_usage(self, body: Body) -> bool:
        return False  # message_start and message_delta always have it

    def read(self, answer: bytes) -> Reading:
        try:
            message = _decode_message(answer)
        except UNREADABLE:
            return NOTHING
        read = _reading(part(message.usage, _decode_usage), text(message.model))
        return read._replace(failed=present(message.error))

    def reader(self, *, hide_usage: bool) -> StreamReader:
        return MessagesReader()

    def broken(self, code: str, message: str) -> bytes:
        error = {"type": "error", "error": {"type": "api_error", "message": message}}
        return b"event: error\ndata: " + msgspec.json.encode(error) + b"\n\n"


def _reading(usage: _Usage | None, model: str) -> Reading:
    if usage is None:
        return Reading(model=model)
    return Reading(_units(usage), model=model, service_tier=_text(usage.service_tier), speed=_text(usage.speed))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _units(usage: _Usage) -> dict[str, int] | None:
    """Anthropic's counts are disjoint already; only cache writes are one count with its parts beside it."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    if not is_count(usage.input_tokens) or not is_count(usage.output_tokens):
        return None
    written = count_of(usage.cache_creation_input_tokens)
    units = {
        "input": count_of(usage.input_tokens),
        "cache_read": count_of(usage.cache_read_input_tokens),
        "output": count_of(usage.output_tokens),
    }
    if not isinstance(usage.cache_creation, dict):
        units["cache_write"] = written
    else:
        hour = count_of(usage.cache_creation.get("ephemeral_1h_input_tokens"))
        five = count_of(usage.cache_creation.get("ephemeral_5m_input_tokens"))
        units["cache_write_1h"] = hour
        units["cache_write_5m"] = max(five, written - hour)
    if isinstance(usage.server_tool_use, dict):
        units["web_searches"] = count_of(usage.server_tool_use.get("web_search_requests"))
    return without_zeros(units)


class MessagesReader:
    """Reads a stream of message events.

    Usage comes in two halves: `message_start` has the input with its cache writes broken down by their lifetime,
    `message_delta` has running totals without that breakdown. Only both together are the call's usage.
    """

    def __init__(self) -> None:
        self._usage: _Usage | None = None
        self._ended = False  # a message_delta was seen
        self._complete = False
        self._failed = False
        self._model = ""
        self._text_bytes = 0

    def see(self, data: bytes) -> Verdict:
        try:
            event = _decode_event(data)
        except UNREADABLE:
            return Verdict.PASS
        match event.type:
            case "content_block_delta":
                delta = part(event.delta, _decode_delta)
                if delta is not None:
                    self._text_bytes += text_bytes([delta.text, delta.thinking, delta.partial_json])
            case "message_start":
                message = part(event.message, _decode_message)
                if message is not None:
                    self._usage = part(message.usage, _decode_usage)
                    self._model = text(message.model)
            case "message_delta":
                usage = part(event.usage, _decode_usage)
                if usage is not None:
                    self._usage = _merged(self._usage, usage)
                    self._ended = True
            case "message_stop":
                self._complete = True
                return Verdict.LAST
            case "error":
                self._failed = True
        return Verdict.PASS

    def reading(self) -> Reading:
        return _reading(self._usage, self._model)._replace(
            exact=self._ended, complete=self._complete, failed=self._failed, text_bytes=self._text_bytes
        )


def _merged(start: _Usage | None, delta: _Usage) -> _Usage:
    if start is None:
        return delta
    for field in _Usage.__struct_fields__:
        value = getattr(delta, field)
        if value is not None:
            setattr(start, field, value)
    return start
