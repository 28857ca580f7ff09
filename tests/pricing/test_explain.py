"""Every cost can be recomputed by hand from what the explanation shows, also long after the price changed."""

from __future__ import annotations

import random
from datetime import UTC, datetime, time

import pytest

from pricing.explain import NotExplainedError, explain
from pricing.render import pricing_blob
from tests.pricing.catalogues import PAGE, acme, catalogue, listed, provider
from tests.pricing.conftest import COST_CASES, sync_and_approve
from wire.cost import cost_of
from wire.prices import PriceBook, PriceVariant, Tiered, context_of

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def sync(given):
    return sync_and_approve(given)


def test_an_explanation_says_what_where_from_and_since_when():
    book = sync(acme())
    found = explain(
        provider="acme",
        model_priced="small",
        price_version=1,
        ts_ms=ms(NOON),
        units={"requests": 1, "input": 21, "output": 64},
        service_tier="",
    )
    assert found.text == "21 × 150,000 + 64 × 600,000 = 41,550,000 pico-USD"
    assert found.total == 41_550_000
    assert [(line.label, line.count, line.price, line.amount, line.tier) for line in found.lines] == [
        ("input tokens", 21, 150_000, 3_150_000, None),
        ("output tokens", 64, 600_000, 38_400_000, None),
    ]
    assert (found.source, found.source_version, found.source_url) == ("given", "1", PAGE)
    assert (found.seen_at, found.at) == (book.created_at, NOON)


def test_an_old_price_still_explains_an_old_cost():
    sync(acme())
    sync(acme(output=700_000))
    sync(acme(19, output=1))
    asked = {"provider": "acme", "model_priced": "small", "units": {"output": 10}}
    totals = [explain(**asked, ts_ms=ms(datetime.now(UTC)), price_version=version).total for version in (1, 2, 3)]
    assert totals == [6_000_000, 7_000_000, 10]


def test_an_event_of_before_a_change_gets_the_price_of_its_day_from_every_later_book():
    sync(acme())
    changed_on = sync(acme(output=700_000)).created_at
    asked = {"provider": "acme", "model_priced": "small", "units": {"output": 10}, "price_version": 2}
    midnight = datetime.combine(changed_on.date(), time(), UTC)
    assert explain(**asked, ts_ms=ms(midnight) - 1).total == 6_000_000
    assert explain(**asked, ts_ms=ms(midnight)).total == 7_000_000


def test_a_model_that_is_gone_is_still_explained():
    sync(acme(20))
    sync(acme(19))
    asked = {"provider": "acme", "model_priced": "model-19", "ts_ms": ms(NOON), "units": {"input": 2}}
    assert explain(**asked, price_version=1).total == 38
    with pytest.raises(NotExplainedError, match="Price book 2 has no price for model-19 of acme"):
        explain(**asked, price_version=2)


def test_tiers_service_tiers_and_fallback_prices_are_named():
    priority = PriceVariant({"service_tier": "priority"}, {"output": 9})
    model = listed("big", variants=(priority,), input=Tiered(1, ((200_000, 2),)), output=4)
    sync(catalogue(provider("acme", model)))
    found = explain(
        provider="acme",
        model_priced="big",
        price_version=1,
        ts_ms=ms(NOON),
        units={"input": 1, "cache_read": 200_000, "reasoning": 5},
        service_tier="priority",
    )
    assert [(line.unit, line.price, line.priced_as, line.tier) for line in found.lines] == [
        ("input", 2, "input", 200_000),
        ("cache_read", 2, "input", 200_000),
        ("reasoning", 9, "output", None),
    ]
    assert found.text == "1 × 2 + 200,000 × 2 + 5 × 9 = 400,047 pico-USD"


def test_unpriced_says_which_unit_had_no_price():
    sync(acme())
    asked = {"provider": "acme", "model_priced": "small", "price_version": 1, "ts_ms": ms(NOON)}
    found = explain(**asked, units={"input": 2, "web_searches": 1})
    assert found.total is None
    assert found.text == "2 × 150,000, and no price for web searches: the call is unpriced."
    assert explain(**asked, units={"pages_in": 1}).text == "no price for document pages: the call is unpriced."
    assert explain(**asked, units={}).text == "0 = 0 pico-USD"


def test_what_was_never_priced_is_told():
    sync(acme())
    asked = {"provider": "acme", "price_version": 1, "ts_ms": ms(NOON), "units": {"input": 2}}
    with pytest.raises(NotExplainedError, match="no price was known"):
        explain(**asked, model_priced="")
    for name in ("nobody", "other/small", "/", "acme/small"):
        with pytest.raises(NotExplainedError, match="has no price"):
            explain(**asked, model_priced=name)


def test_a_borrowed_price_is_that_of_its_owner_even_when_ids_are_equal():
    own = provider("azure", listed("gpt", input=7), fallbacks=("openai",))
    flex = PriceVariant({"service_tier": "flex"}, {"input": 1})
    sync(catalogue(own, provider("openai", listed("gpt", variants=(flex,), input=3))))
    asked = {"provider": "azure", "price_version": 1, "ts_ms": ms(NOON), "units": {"input": 1}, "service_tier": "flex"}
    assert explain(**asked, model_priced="gpt").total == 7
    borrowed = explain(**asked, model_priced="openai/gpt")
    assert (borrowed.total, borrowed.provider, borrowed.model) == (3, "openai", "gpt")


def test_explanations_equal_what_a_gateway_reckons(synced):
    """Through the real catalogue: the hand-made cases, and random calls of random models."""
    blob = pricing_blob(env="dev", rev=1)
    book = PriceBook(blob)
    chance = random.Random(41_550_000)
    names = [(provider, model) for provider, models in blob.models.items() for model in models]
    calls = [
        (case["provider"], case["model"], datetime.fromisoformat(case["at"]), case["service_tier"], case["units"])
        for case in COST_CASES["cases"]
    ]
    for _ in range(250):
        provider_id, model_id = chance.choice(names)
        at = datetime.fromtimestamp(chance.randint(1_700_000_000, 1_800_000_000), UTC)
        units = {
            unit: chance.randint(0, 250_000) for unit in chance.sample(["input", "output", "cache_read", "audio_in"], 2)
        }
        seller = chance.choice([provider_id, "azure", "google"])
        calls.append((seller, model_id, at, chance.choice(["", "priority", "batch", "flex"]), units))
    explained = 0
    for provider_id, name, at, tier, units in calls:
        match = book.find(provider_id, name)
        if match is None:
            continue
        reckoned = cost_of(units, match.prices.at(at, context_of(tier)))
        found = explain(
            provider=provider_id,
            model_priced=match.priced_as,
            price_version=book.version,
            ts_ms=ms(at),
            units=units,
            service_tier=tier,
        )
        assert found.total == reckoned.total, (provider_id, name)
        assert sum(line.amount for line in found.lines) == sum(line.amount for line in reckoned.lines)
        explained += 1
    assert explained > 150
