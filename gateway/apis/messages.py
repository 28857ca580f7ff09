"""Anthropic's messages: POST /v1/messages.

Wire format: https://docs.anthropic.com/en/api/messages and …/en/api/messages-streaming
"""

from __future__ import annotations

import msgspec

from gateway.apis.base import NOTHING, UNREADABLE, Body, Reading, Shape, StreamReader, Verdict
from gateway.apis.usage import COUNT_MOST, without_zeros


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _ServerTools(msgspec.Struct):
    web_search_requests: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None
    server_tool_use: _ServerTools | None = None
    service_tier: str | None = None
    speed: str | None = None


class _Message(msgspec.Struct):
    model: str | None = None
    usage: _Usage | None = None


class _Delta(msgspec.Struct):
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    message: _Message | None = None
    usage: _Usage | None = None
    delta: _Delta | None = None


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_event = msgspec.json.Decoder(_Event).decode


class Messages:
    """Messages, plain and streamed."""

    path = "/v1/messages"
    suffix = "/messages"
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
        return _reading(message.usage, message.model or "")

    def reader(self, *, hide_usage: bool) -> StreamReader:
        return MessagesReader()

    def broken(self, code: str, message: str) -> bytes:
        error = {"type": "error", "error": {"type": "api_error", "message": message}}
        return b"event: error\ndata: " + msgspec.json.encode(error) + b"\n\n"


def _reading(usage: _Usage | None, model: str) -> Reading:
    if usage is None:
        return Reading(model=model)
    return Reading(_units(usage), model=model, service_tier=usage.service_tier or "", speed=usage.speed or "")


def _units(usage: _Usage) -> dict[str, int] | None:
    """Anthropic's counts are disjoint already; only cache writes are one count with its parts beside it."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    written = _count(usage.cache_creation_input_tokens)
    units = {
        "input": _count(usage.input_tokens),
        "cache_read": _count(usage.cache_read_input_tokens),
        "output": _count(usage.output_tokens),
    }
    if usage.cache_creation is None:
        units["cache_write"] = written
    else:
        hour = _count(usage.cache_creation.ephemeral_1h_input_tokens)
        five = _count(usage.cache_creation.ephemeral_5m_input_tokens)
        units["cache_write_1h"] = hour
        units["cache_write_5m"] = max(five, written - hour)
    if usage.server_tool_use is not None:
        units["web_searches"] = _count(usage.server_tool_use.web_search_requests)
    return without_zeros(units)


def _count(number: int | None) -> int:
    return min(max(number or 0, 0), COUNT_MOST)


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
            case "content_block_delta" if event.delta is not None:
                delta = event.delta
                self._text_bytes += sum(len(t.encode()) for t in (delta.text, delta.thinking, delta.partial_json) if t)
            case "message_start" if event.message is not None:
                self._usage = event.message.usage
                self._model = event.message.model or ""
            case "message_delta" if event.usage is not None:
                self._usage = _merged(self._usage, event.usage)
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
