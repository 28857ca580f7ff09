"""OpenAI's chat completions: POST /v1/chat/completions.

Wire format: https://platform.openai.com/docs/api-reference/chat
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
from gateway.apis.usage import openai_usage
from gateway.estimate import text_bytes

DONE = b"[DONE]"
_NONE = frozenset({b"", b"null", b"[]"})  # a part that is absent or says nothing


class _Answer(msgspec.Struct):
    error: msgspec.Raw = ABSENT
    model: msgspec.Raw = ABSENT
    service_tier: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT


class _Function(msgspec.Struct):
    arguments: Any = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Delta(msgspec.Struct):
    """Texts by OpenAI's own description; some providers send lists of parts, and arguments as an object."""

    content: Any = None
    reasoning_content: Any = None
    refusal: Any = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None


class _Chunk(msgspec.Struct):
    choices: msgspec.Raw = ABSENT
    model: msgspec.Raw = ABSENT
    service_tier: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_choices = msgspec.json.Decoder(list[_Choice]).decode


def read_answer(answer: bytes) -> Reading:
    """Read the usage block of a chat completion or an embedding."""
    try:
        found = _decode_answer(answer)
    except UNREADABLE:
        return NOTHING
    return Reading(
        openai_usage(found.usage),
        model=text(found.model),
        service_tier=text(found.service_tier),
        failed=present(found.error),
    )


def broken_chat(code: str, message: str) -> bytes:
    """An error chunk, from which the official client raises its APIError."""
    error = {"error": {"message": message, "type": "api_error", "param": None, "code": code}}
    return b"data: " + msgspec.json.encode(error) + b"\n\n"


class Chat:
    """Chat completions, plain and streamed."""

    path = "/v1/chat/completions"
    suffix = "/chat/completions"
    use = "chat"
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
        self._model = text(chunk.model) or self._model
        self._service_tier = text(chunk.service_tier) or self._service_tier
        if present(chunk.error):
            self._failed = True
        for choice in part(chunk.choices, _decode_choices) or ():
            if choice.delta is not None:
                self._text_bytes += _text_bytes(choice.delta)
        if bytes(chunk.usage) not in _NONE:
            self._units = openai_usage(chunk.usage) or self._units
            if self._hide_usage and bytes(chunk.choices) in _NONE:
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
    calls = [call.function.arguments for call in delta.tool_calls or () if call.function is not None]
    return text_bytes([delta.content, delta.reasoning_content, delta.refusal, *calls])
