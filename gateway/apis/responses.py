"""OpenAI's responses: POST /v1/responses.

Wire format: https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.apis.base import NOTHING, UNREADABLE, Body, Reading, Shape, StreamReader, Verdict
from gateway.apis.usage import OpenAIUsage, openai_units

_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})
_BILLED_TOOLS = {"web_search_call": "web_searches", "file_search_call": "storage_searches"}


_ABSENT = msgspec.Raw()


class _Action(msgspec.Struct):
    type: str | None = None


class _Item(msgspec.Struct):
    type: str | None = None
    action: _Action | None = None


class _Response(msgspec.Struct):
    model: str | None = None
    service_tier: str | None = None
    status: str | None = None
    usage: OpenAIUsage | None = None
    output: list[_Item] | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: msgspec.Raw = _ABSENT
    response: msgspec.Raw = _ABSENT


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_event = msgspec.json.Decoder(_Event).decode


class Responses:
    """Responses, plain and streamed."""

    path = "/v1/responses"
    suffix = "/responses"
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
    units = openai_units(response.usage) if response.usage is not None else None
    if units is not None:
        for item in response.output or ():
            unit = _BILLED_TOOLS.get(item.type or "")
            # Opening a page that was found, or searching in it, is not a search that is billed.
            if unit and (item.action is None or item.action.type in (None, "search")):
                units[unit] = units.get(unit, 0) + 1
    return Reading(
        units,
        model=response.model or "",
        service_tier=response.service_tier or "",
        failed=response.status == "failed",
    )


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
        if event.type.endswith(".delta") and event.delta != _ABSENT:
            self._text_bytes += max(len(bytes(event.delta)) - 2, 0)  # without its quotes
        elif event.type == "error":
            self._reading = self._reading._replace(failed=True)
        elif event.type in _LAST and event.response != _ABSENT:
            try:
                self._reading = _read(_decode_response(event.response))
            except UNREADABLE:
                self._reading = NOTHING
            return Verdict.LAST
        elif event.type == "response.created" and event.response != _ABSENT:
            self._note_model(event.response)
        return Verdict.PASS

    def reading(self) -> Reading:
        return self._reading._replace(text_bytes=self._text_bytes)

    def _note_model(self, response: msgspec.Raw) -> None:
        try:
            self._reading = self._reading._replace(model=_decode_response(response).model or "")
        except UNREADABLE:
            return
