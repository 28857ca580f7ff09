"""OpenAI's chat completions: POST /v1/chat/completions.

Wire format: https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import msgspec

from gateway.apis.base import NOTHING, UNREADABLE, Body, Reading, Shape, StreamReader, Verdict
from gateway.apis.usage import OpenAIUsage, openai_units

DONE = b"[DONE]"


_ABSENT = msgspec.Raw()


class _Answer(msgspec.Struct):
    model: str | None = None
    service_tier: str | None = None
    usage: OpenAIUsage | None = None


class _Function(msgspec.Struct):
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: OpenAIUsage | None = None
    error: msgspec.Raw = _ABSENT


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode


def read_answer(answer: bytes) -> Reading:
    """Read the usage block of a chat completion or an embedding."""
    try:
        found = _decode_answer(answer)
    except UNREADABLE:
        return NOTHING
    units = openai_units(found.usage) if found.usage is not None else None
    return Reading(units, model=found.model or "", service_tier=found.service_tier or "")


def broken_chat(code: str, message: str) -> bytes:
    """An error chunk, from which the official client raises its APIError."""
    error = {"error": {"message": message, "type": "api_error", "param": None, "code": code}}
    return b"data: " + msgspec.json.encode(error) + b"\n\n"


class Chat:
    """Chat completions, plain and streamed."""

    path = "/v1/chat/completions"
    suffix = "/chat/completions"
    shape = Shape.OPENAI

    def problem(self, body: Body) -> str | None:
        options = body.get("stream_options")
        if options is not None and not isinstance(options, dict):
            return "stream_options must be an object."
        return None

    def streamed(self, body: Body) -> bool:
        return body.get("stream") is True

    def ask_usage(self, body: Body) -> bool:
        options = body.get("stream_options") or {}
        if options.get("include_usage") is True:
            return False
        body["stream_options"] = {**options, "include_usage": True}
        return True

    def read(self, answer: bytes) -> Reading:
        return read_answer(answer)

    def reader(self, *, hide_usage: bool) -> StreamReader:
        return ChatReader(hide_usage=hide_usage)

    def broken(self, code: str, message: str) -> bytes:
        return broken_chat(code, message)


class ChatReader:
    """Reads a stream of chat completion chunks. The last usage block counts: some providers send running totals."""

    def __init__(self, *, hide_usage: bool) -> None:
        self._hide_usage = hide_usage
        self._units: dict[str, int] | None = None
        self._model = ""
        self._service_tier = ""
        self._text_bytes = 0
        self._complete = False
        self._failed = False

    def see(self, data: bytes) -> Verdict:
        if data == DONE:
            self._complete = True
            return Verdict.LAST
        try:
            chunk = _decode_chunk(data)
        except UNREADABLE:
            return Verdict.PASS
        self._model = chunk.model or self._model
        self._service_tier = chunk.service_tier or self._service_tier
        if bytes(chunk.error) not in (b"", b"null"):
            self._failed = True
        for choice in chunk.choices or ():
            if choice.delta is not None:
                self._text_bytes += _text_bytes(choice.delta)
        if chunk.usage is not None:
            self._units = openai_units(chunk.usage) or self._units
            if self._hide_usage and not chunk.choices:
                return Verdict.DROP
        return Verdict.PASS

    def reading(self) -> Reading:
        return Reading(
            self._units,
            model=self._model,
            service_tier=self._service_tier,
            failed=self._failed,
            complete=self._complete,
            text_bytes=self._text_bytes,
        )


def _text_bytes(delta: _Delta) -> int:
    total = sum(len(text.encode()) for text in (delta.content, delta.reasoning_content, delta.refusal) if text)
    for call in delta.tool_calls or ():
        if call.function is not None and call.function.arguments:
            total += len(call.function.arguments.encode())
    return total
