"""A client for the reference Worker, and the real price list as the tests of pricing have it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.pricing.conftest import price_book

__all__ = ["price_book"]


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as client:
        yield client
