"""OpenAI's responses: POST /v1/responses.

Wire format: https://platform.openai.com/docs/api-reference/responses
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

_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})
_BILLED_TOOLS = {"web_search_call": "web_searches", "file_search_call": "storage_searches"}


class _Response(msgspec.Struct):
    error: msgspec.Raw = ABSENT
    model: msgspec.Raw = ABSENT
    service_tier: msgspec.Raw = ABSENT
    status: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    output: msgspec.Raw = ABSENT


class _Event(msgspec.Struct):
    type: str = ""
    delta: msgspec.Raw = ABSENT
    response: msgspec.Raw = ABSENT


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_items = msgspec.json.Decoder(list[Any]).decode
_decode_event = msgspec.json.Decoder(_Event).decode


class Responses:
    """Responses, plain and streamed."""

    path = "/v1/responses"
    suffix = "/responses"
    use = "responses"
    shape = Shape.OPENAI

    def problem(self, body: Body) -> str | None:
        if body.get("background") is True:
            return (
                "background is not possible through this gateway: such a response is used up after the call has ended, "
                "where nothing can meter it. Leave it out, or stream the response."
            )
        return None

    def streamed(self, body: Body) -> bool:
        return body.get("stream") is True

    def ask_usage(self, body: Body) -> bool:
        return False  # the last event always has it

    def read(self, answer: bytes) -> Reading:
        try:
            return _read(_decode_response(answer))
        except UNREADABLE:
            return NOTHING

    def reader(self, *, hide_usage: bool) -> StreamReader:
        return ResponsesReader()

    def broken(self, code: str, message: str) -> bytes:
        # The API's own error event has its fields on top; the official client raises from one named `error`.
        error: dict[str, Any] = {"type": "error", "code": code, "message": message, "param": None, "sequence_number": 0}
        error["error"] = {"message": message, "type": "api_error", "param": None, "code": code}
        return b"event: error\ndata: " + msgspec.json.encode(error) + b"\n\n"


def _read(response: _Response) -> Reading:
    units = openai_usage(response.usage)
    if units is not None:
        for item in part(response.output, _decode_items) or ():
            unit = _billed_tool(item)
            if unit:
                units[unit] = units.get(unit, 0) + 1
    return Reading(
        units,
        model=text(response.model),
        service_tier=text(response.service_tier),
        failed=text(response.status) == "failed" or present(response.error),
    )


def _billed_tool(item: Any) -> str:
    """The unit that an item of the output is billed as; "" when it is none."""
    kind = item.get("type") if isinstance(item, dict) else None
    unit = _BILLED_TOOLS.get(kind, "") if isinstance(kind, str) else ""
    action = item.get("action") if unit else None
    # Opening a page that was found, or searching in it, is not a search that is billed.
    return unit if not isinstance(action, dict) or action.get("type") in (None, "search") else ""


class ResponsesReader:
    """Reads a stream of response events; the last one carries the whole response with its usage."""

    def __init__(self) -> None:
        self._reading = Reading(complete=False)
        self._text_bytes = 0

    def see(self, data: bytes) -> Verdict:
        try:
            event = _decode_event(data)
        except UNREADABLE:
            return Verdict.PASS
        if event.type.endswith(".delta") and event.delta != ABSENT:
            self._text_bytes += max(len(bytes(event.delta)) - 2, 0)  # without its quotes
        elif event.type == "error":
            self._reading = self._reading._replace(failed=True)
        elif event.type in _LAST and event.response != ABSENT:
            try:
                self._reading = _read(_decode_response(event.response))
            except UNREADABLE:
                self._reading = NOTHING
            return Verdict.LAST
        elif event.type == "response.created" and event.response != ABSENT:
            self._note_model(event.response)
        return Verdict.PASS

    def reading(self) -> Reading:
        return self._reading._replace(text_bytes=self._text_bytes)

    def _note_model(self, response: msgspec.Raw) -> None:
        try:
            self._reading = self._reading._replace(model=text(_decode_response(response).model))
        except UNREADABLE:
            return
