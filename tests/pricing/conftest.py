from __future__ import annotations

import pytest

from changes.actor import Actor
from pricing.actions import Synced, sync_prices
from pricing.sources.base import Catalogue
from pricing.sources.genai_prices import GenaiPrices

SYNC = Actor.system("test.sync")


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The bundled catalogue, read once."""
    return GenaiPrices().read()


@pytest.fixture
def synced(db) -> Synced:
    """The whole real catalogue in SQL, as the first price book."""
    return sync_prices(GenaiPrices(), by=SYNC)
