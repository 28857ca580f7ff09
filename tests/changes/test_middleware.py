"""Every request has an id: in the answer, and in what it logs."""

from __future__ import annotations

import uuid

import pytest
import structlog
from django.http import HttpResponse
from django.test import RequestFactory

from changes.middleware import RequestIdMiddleware


def answer(given: str | None = None) -> tuple[HttpResponse, dict[str, object]]:
    seen: dict[str, object] = {}

    def view(request):
        seen.update(structlog.contextvars.get_contextvars(), id=request.id)
        return HttpResponse("ok")

    headers = {"X-Request-Id": given} if given is not None else {}
    return RequestIdMiddleware(view)(RequestFactory().get("/", headers=headers)), seen


def test_a_request_without_an_id_gets_one():
    response, seen = answer()
    assert uuid.UUID(response.headers["X-Request-Id"]).version == 7
    assert seen == {"id": response.headers["X-Request-Id"], "request_id": response.headers["X-Request-Id"]}


def test_a_well_formed_id_is_taken_over():
    response, seen = answer("order-4711_b")
    assert response.headers["X-Request-Id"] == seen["id"] == "order-4711_b"


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "line\nbreak-in-it", "with space in it", "ümlaut-id-here"])
def test_any_other_id_is_replaced(given):
    response, _ = answer(given)
    assert response.headers["X-Request-Id"] != given
