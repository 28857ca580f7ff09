"""A request id for every request: the caller's when it is well formed, sent back, and on every log line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

import structlog
from django.http import HttpRequest, HttpResponse

from wire.ids import event_id

_WELL_FORMED = re.compile(r"^[0-9A-Za-z_-]{8,64}$")


class IdentifiedRequest(HttpRequest):
    """A request that has its id."""

    id: str


class RequestIdMiddleware:
    """Sets `request.id`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _WELL_FORMED.match(given) else event_id()
        cast(IdentifiedRequest, request).id = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self._get_response(request)
        response.headers["X-Request-Id"] = request_id
        return response
