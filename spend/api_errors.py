"""What the API answers when ClickHouse does not, where an operation has nothing better to say."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI

from spend.clickhouse.errors import TooMuchError, UnavailableError
from tenants.frame.problems import answer


def install(api: NinjaAPI) -> None:
    """Let an API answer with problem documents."""
    api.add_exception_handler(UnavailableError, _unavailable)
    api.add_exception_handler(TooMuchError, _too_much)


def _unavailable(request: HttpRequest, error: Any) -> HttpResponse:
    return answer(503, "unavailable", "Usage cannot be read at present. Try again in a moment.")


def _too_much(request: HttpRequest, error: Any) -> HttpResponse:
    return answer(422, "too_much", "That is too much to sum up in time: ask for fewer days or groups, or narrow it.")
