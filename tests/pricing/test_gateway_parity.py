"""What the gateway computes and what the explanation recomputes are equal, for random price books and random usage."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
import time_machine
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.apis.base import Reading
from gateway.meter import meter
from pricing.explain import explain
from pricing.render import pricing_blob
from pricing.sources.base import Catalogue, ListedModel
from tests.pricing.catalogues import catalogue, listed, provider
from tests.pricing.conftest import sync_and_approve
from tests.pricing.test_history import MODELS, MOMENTS
from tests.pricing.test_parity import COUNTS, THEIRS, TIERS, moments
from wire.events import UsageSource
from wire.money import pico_from_usd_string
from wire.prices import PriceBook, PricingBlob

pytestmark = pytest.mark.django_db

NAMES = ("one", "two", "three")
_listings = st.lists(st.dictionaries(st.sampled_from(NAMES), MODELS, min_size=1, max_size=3), min_size=1, max_size=4)
_usage = st.dictionaries(
    st.sampled_from(["input", "output", "cache_read", "cache_write_1h", "reasoning", "requests"]),
    st.integers(0, 300),
    max_size=4,
)


def as_catalogue(models) -> Catalogue:
    return catalogue(provider("acme", *(ListedModel(id=name, prices=prices) for name, prices in models.items())))


def by_the_gateway(book: PriceBook, owner: str, model: str, units, at: datetime, tier: str):
    """The gateway's own steps: the event's cost in pico-USD, and the model and version that it names."""
    metered = meter(
        book,
        provider=owner,
        asked=model,
        reading=Reading(model=model, service_tier=tier),
        units=units,
        source=UsageSource.PROVIDER,
        at_ms=int(at.timestamp() * 1000),
    )
    return metered.cost and pico_from_usd_string(metered.cost), metered.model_priced, metered.price_version


def by_the_explanation(owner: str, model: str, version: int, units, at: datetime, tier: str):
    return explain(
        provider=owner,
        model_priced=model,
        price_version=version,
        ts_ms=int(at.timestamp() * 1000),
        units=units,
        service_tier=tier,
    ).total


@settings(max_examples=40, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(listings=_listings, units=_usage, at=MOMENTS, tier=st.sampled_from(TIERS))
def test_every_version_of_random_books_is_explained_as_the_gateway_counted(listings, units, at, tier):
    with transaction.atomic():
        for listing in listings:
            version = sync_and_approve(as_catalogue(listing)).version
            # as sent, and read again by a gateway
            sent = msgspec.json.encode(pricing_blob(env="dev", rev=1))
            book = PriceBook(msgspec.json.decode(sent, type=PricingBlob))
            assert book.version == version
            for name in NAMES:
                if book.find("acme", name) is None:
                    continue
                cost, priced_as, of_version = by_the_gateway(book, "acme", name, units, at, tier)
                assert (priced_as, of_version) == (name, version)
                assert by_the_explanation("acme", name, version, units, at, tier) == cost
        transaction.set_rollback(True)


@settings(max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_real_book_is_explained_as_the_gateway_counted(synced, catalogue: Catalogue, price_book: PriceBook, data):
    units = data.draw(st.dictionaries(st.sampled_from(sorted(THEIRS)), COUNTS, min_size=1, max_size=8), label="units")
    at = data.draw(moments(catalogue), label="at").replace(microsecond=0)
    tier = data.draw(st.sampled_from(TIERS), label="service tier")
    drawn = data.draw(st.lists(st.sampled_from(catalogue.providers), min_size=5, max_size=5, unique_by=lambda p: p.id))
    for each in drawn:
        model = data.draw(st.sampled_from(each.models), label="model")
        match = price_book.find(each.id, model.id)
        if match is None:
            continue
        cost, priced_as, version = by_the_gateway(price_book, each.id, model.id, units, at.astimezone(UTC), tier)
        assert version == synced.book.version
        assert by_the_explanation(each.id, priced_as, version, units, at, tier) == cost


def test_a_call_of_before_a_change_that_arrives_after_it_has_the_old_price(settings):
    """Whoever prices it has the newest price book only; the explanation by that book says the same."""
    settings.PRICE_BAND_PERCENT = 1_000
    with time_machine.travel(datetime(2026, 11, 10, 9, tzinfo=UTC)) as clock:
        for number, price in enumerate((100, 250, 70)):
            clock.move_to(datetime(2026, 11, 10 + 5 * number, 9, tzinfo=UTC))
            version = sync_and_approve(catalogue(provider("acme", listed("one", input=price, output=1)))).version
    assert version == 3
    book = PriceBook(pricing_blob(env="dev", rev=1))
    expected = {1: 100, 14: 100, 15: 250, 19: 250, 20: 70, 28: 70}
    for day, price in expected.items():
        for at in (datetime(2026, 11, day, tzinfo=UTC), datetime(2026, 11, day, 23, 59, 59, 999_000, tzinfo=UTC)):
            cost, priced_as, of_version = by_the_gateway(book, "acme", "one", {"input": 7}, at, "")
            assert (cost, of_version) == (7 * price, 3)
            assert by_the_explanation("acme", priced_as, 3, {"input": 7}, at, "") == cost
