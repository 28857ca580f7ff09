from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.db import transaction

from changes.actor import Actor
from pricing.actions.changes import approve_sync
from pricing.actions.sync import Synced, sync_prices
from pricing.models import PriceBook as Published
from pricing.render import pricing_blob
from pricing.sources.base import Catalogue
from pricing.sources.genai_prices import GenaiPrices
from wire.prices import PriceBook, PricingBlob

SYNC = Actor.system("test.sync")
COST_CASES: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "wire" / "fixtures" / "cost_cases.json").read_text(encoding="utf-8")
)


class Given:
    """A source that lists what it is told, to see what a sync does with it."""

    name = "given"

    def __init__(self, catalogue: Catalogue | Exception) -> None:
        self._catalogue = catalogue

    def read(self) -> Catalogue:
        if isinstance(self._catalogue, Exception):
            raise self._catalogue
        return self._catalogue


def sync_and_approve(given: Catalogue) -> Published:
    """A sync whose large changes a person then approves; the price book that holds."""
    synced = sync_prices(Given(given), by=SYNC)
    if synced.waiting is None:
        return synced.book
    return approve_sync(sync=synced.waiting, digest=synced.waiting.digest, by=SYNC)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The bundled catalogue, read once."""
    return GenaiPrices().read()


@pytest.fixture
def synced(db) -> Synced:
    """The whole real catalogue in SQL, as the first price book."""
    return sync_prices(GenaiPrices(), by=SYNC)


@pytest.fixture(scope="session")
def price_book(django_db_setup, django_db_blocker) -> PriceBook:
    """The real catalogue as a gateway has it: synced into SQL, rendered, sent as bytes and read again."""
    with django_db_blocker.unblock(), transaction.atomic():
        sync_prices(GenaiPrices(), by=SYNC)
        sent = msgspec.json.encode(pricing_blob(env="dev", rev=1))
        transaction.set_rollback(True)
    return PriceBook(msgspec.json.decode(sent, type=PricingBlob))
