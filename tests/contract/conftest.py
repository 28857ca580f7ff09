"""The real price list, as the tests of pricing have it."""

from tests.pricing.conftest import price_book

__all__ = ["price_book"]
