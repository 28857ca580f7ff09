"""What every request's questions to ClickHouse have in common."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from spend.clickhouse.errors import ClickHouseError, TooMuchError, UnavailableError
from spend.clickhouse.switch import answering_a_request

logger = structlog.get_logger(__name__)


class SpendSwitchMiddleware:
    """While `SPENDOPS_SPEND_PAGES` is off, pages and the API say at once that spend data is out of reach.

    A page that has nothing of its own to show instead of an answer says what happened as every page does.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with answering_a_request():
            return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """None leaves it to Django: another error, or a statement that is wrong in itself."""
        if not isinstance(exception, ClickHouseError):
            return None
        if isinstance(exception, UnavailableError):
            logger.warning("a page without usage", path=request.path, error=str(exception))
            return render(request, "503.html", status=503)
        if isinstance(exception, TooMuchError):
            logger.warning("a question that was too much", path=request.path, error=str(exception))
            return render(request, "422.html", status=422)
        return None
