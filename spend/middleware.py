"""Tells the one door to ClickHouse which questions a request asks."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from spend.clickhouse.switch import answering_a_request


class SpendSwitchMiddleware:
    """While `SPENDOPS_SPEND_PAGES` is off, pages and the API say at once that spend data is out of reach."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with answering_a_request():
            return self._get_response(request)
