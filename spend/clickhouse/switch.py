"""The off switch of pages and of the API: while it is off, what answers a request asks ClickHouse nothing.

For an engine that is under water: people wait for nothing, while consumers, recounts, budgets and exports go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.conf import settings

from spend.clickhouse.errors import PagesOffError

_answering = ContextVar("answering_a_request", default=False)


@contextmanager
def answering_a_request() -> Iterator[None]:
    """Within this block, what is asked of ClickHouse is for a request's answer."""
    token = _answering.set(True)
    try:
        yield
    finally:
        _answering.reset(token)


def refuse_when_off() -> None:
    """Raises PagesOffError in a request while pages are switched off."""
    if _answering.get() and not settings.SPEND_PAGES:
        raise PagesOffError("Spend pages are switched off (SPENDOPS_SPEND_PAGES=off).")
