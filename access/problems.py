"""Refusals as RFC 9457 problem documents: a `code` for programs and a sentence for people."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, JsonResponse


def problem(status: int, code: str, detail: str, **more: Any) -> JsonResponse:
    """A problem document, with further members if there are any. It is never cached."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail}
    response = JsonResponse(body | more, status=status, content_type="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    return response


def wants_html(request: HttpRequest) -> bool:
    """Whether a person's browser asks for a page (and not a script, htmx or a program)."""
    if request.path.startswith("/api/") or request.headers.get("HX-Request"):
        return False
    return "text/html" in request.headers.get("Accept", "") and request.content_type != "application/json"
