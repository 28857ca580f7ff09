"""Movers, latency, refusals and what caches saved: against sums that are made by hand."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from changes.actor import Actor
from pricing.actions.sync import sync_prices
from pricing.sources.genai_prices import GenaiPrices
from spend.cache_savings import cache_savings
from spend.ingest import store_denials
from spend.queries.movers import movers
from spend.queries.ratios import Percentiles, denied, latency
from spend.queries.slices import Slice
from spend.queries.tags import tags_used
from tests.spend.conftest import count, tenant
from tests.spend.events import NOON, TENANT, denial, unpriced, usage
from wire.events import Denied

pytestmark = pytest.mark.usefixtures("queues", "clickhouse")
DAY = NOON.date()
TODAY = Slice(DAY, DAY)
YESTERDAY = DAY - timedelta(days=1)
STRANGER = "t_stranger1"


@pytest.fixture(autouse=True)
def _tenants(queues):
    tenant(TENANT)
    tenant(STRANGER)


def charged(number: int, model: str, charge: str, at: datetime = NOON, **fields):
    return usage(number, at, model_asked=model, model_priced=model, charge=charge, cost=charge, **fields)


def test_movers_are_what_changed_most_and_say_what_is_new_or_gone():
    before = NOON - timedelta(days=1)
    count(
        [
            charged(1, "grew", "3"),
            charged(2, "grew", "1", before),
            charged(3, "fell", "1", before),
            charged(4, "fell", "0.25"),
            charged(5, "new", "0.5"),
            charged(6, "gone", "5", before),
            charged(7, "same", "7"),
            charged(8, "same", "7", before),
            charged(9, "grew", "90", before, tenant=STRANGER),
        ]
    )
    found = movers(TENANT, TODAY, (YESTERDAY, YESTERDAY), by=["model"])
    assert [(each.groups[0], each.change, each.share, each.kind) for each in found] == [
        ("gone", Decimal(-5), Decimal(-1), "gone"),
        ("grew", Decimal(2), Decimal(2), "up"),
        ("fell", Decimal("-0.75"), Decimal("-0.75"), "down"),
        ("new", Decimal("0.5"), None, "new"),
    ]
    assert movers(TENANT, TODAY, (YESTERDAY, YESTERDAY), by=["model"], most=1) == found[:1]


def test_percentiles_are_those_of_the_calls_through_the_gateway():
    dice = random.Random(11)
    times = [dice.randrange(10, 90_000) for _ in range(200)]
    count([usage(number, duration_ms=each, ttfb_ms=each // 2 * (number % 2)) for number, each in enumerate(times)])
    count(
        [
            usage(1000, duration_ms=10**6, source="openai"),
            usage(1001, duration_ms=10**6, kind="adjustment"),
            usage(1002, duration_ms=10**6, tenant=STRANGER),
            usage(1003, NOON - timedelta(days=1), duration_ms=10**6),
        ]
    )

    def of(values: list[int]) -> Percentiles:
        ranked = sorted(values)
        return Percentiles(*(ranked[int(len(ranked) * level)] for level in (0.5, 0.95, 0.99)), len(ranked))

    found = latency(TENANT, TODAY)
    assert found.duration == of(times)
    assert found.first_byte == of([each // 2 for number, each in enumerate(times) if number % 2])
    assert latency(TENANT, Slice(DAY, DAY, only={"key": ["k_none"]})) == (None, None)


def test_refusals_are_counted_beside_what_passed():
    count([usage(number) for number in range(3)])
    store_denials(
        [
            denial(1, reason=Denied.RATE_LIMITED),
            denial(2, env="prod", reason=Denied.RATE_LIMITED),
            denial(3, tenant=STRANGER, reason=Denied.RATE_LIMITED),
        ]
    )
    found = denied(TENANT, TODAY, passed=3)
    assert (found.denied, found.rate) == (2, Decimal("0.4"))
    assert denied(TENANT, Slice(DAY, DAY, only={"env": ["prod"]}), passed=0).denied == 1
    assert denied(TENANT, Slice(DAY, DAY, without={"env": ["prod"]}), passed=0).denied == 1
    assert denied(TENANT, Slice(DAY, DAY, keys=[]), passed=0).rate is None
    assert denied(TENANT, Slice(DAY, DAY, only={"tag:team": ["search"]}), passed=3) is None


def test_caches_saved_the_difference_of_two_prices_exactly():
    sync_prices(GenaiPrices(), by=Actor.system("tests"))
    count(
        [
            usage(1, units={"input": 1_000, "output": 10, "cache_read": 7_001}),
            usage(2, units={"input": 5, "cache_read": 3}),
            usage(3, units={"input": 5}),
            unpriced(4, units={"cache_read": 11}),
            usage(5, price_version=99, units={"cache_read": 13}),
            usage(6, tenant=STRANGER, units={"cache_read": 17}),
        ]
    )
    # gpt-4o-mini: input 150,000 pico-USD a token, read from the cache 75,000
    assert cache_savings(TENANT, TODAY) == (7_004 * 75_000, 7_028, 24)
    assert cache_savings(TENANT, Slice(DAY, DAY, without={"model": ["acme-7b"]})).unknown_tokens == 13
    assert cache_savings(TENANT, Slice(YESTERDAY, YESTERDAY)) == (0, 0, 0)


def test_a_long_context_has_its_own_prices_of_reading():
    sync_prices(GenaiPrices(), by=Actor.system("tests"))
    sonnet = {"provider": "anthropic", "model_asked": "claude-sonnet-4-5", "model_priced": "claude-sonnet-4-5"}
    count([usage(1, units={"cache_read": 100_000}, **sonnet), usage(2, units={"cache_read": 300_000}, **sonnet)])
    saved = cache_savings(TENANT, TODAY)
    # below 200,000 tokens $3 and $0.30 a million, above twice as much
    assert saved == (100_000 * 2_700_000 + 300_000 * 5_400_000, 400_000, 0)


def test_tags_are_offered_by_name_to_whoever_may_see_their_calls():
    count(
        [
            usage(1, tags={"team": "search", "feature": "a"}),
            usage(2, tags={"owner": "x"}, key="k_app"),
            usage(3, tags={"secret": "x"}, tenant=STRANGER),
            usage(4, datetime(2026, 1, 1, tzinfo=UTC), tags={"old": "x"}),
        ]
    )
    assert tags_used(TENANT, TODAY) == ["feature", "owner", "team"]
    assert tags_used(TENANT, Slice(DAY, DAY, keys=["k_app"])) == ["owner"]
    assert tags_used(TENANT, Slice(date(2026, 1, 1), DAY, only={"env": ["none"]})) == [
        "feature",
        "old",
        "owner",
        "team",
    ]
