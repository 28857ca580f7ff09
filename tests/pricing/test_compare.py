"""What a month of calls costs with one model beside another is what that many such calls cost."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.compare import Mix, compare
from wire.cost import cost_of
from wire.prices import ModelPrices, Price, PricePeriod, Tiered

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MIX = Mix(input=1_000, cached=400, output=100, requests=50)


def plain(**prices: Price) -> ModelPrices:
    return ModelPrices((PricePeriod(dict(prices)),))


def test_a_fee_for_each_request_is_part_of_it():
    dear, cheap = compare(
        [("a", "fee", plain(input=1, output=1, requests=10_000)), ("b", "none", plain(input=2, output=2))], MIX, NOW
    )[::-1]
    assert (cheap.name, cheap.per_request, cheap.per_month) == ("b/none", 2_200, 110_000)
    assert (dear.name, dear.per_request, dear.per_month) == ("a/fee", 11_100, 555_000)
    assert [line.unit for line in dear.lines] == ["input", "cache_read", "output", "requests"]


def test_what_has_no_price_is_named_and_a_request_needs_none():
    (nothing, part) = compare([("a", "gone", None), ("a", "part", plain(input=1))], MIX, NOW)
    assert (nothing.per_month, nothing.unpriced) == (None, ("input", "cache_read", "output"))
    assert (part.per_month, part.unpriced) == (None, ("output",))


PRICES = st.dictionaries(
    st.sampled_from(["input", "output", "cache_read", "requests"]),
    st.integers(0, 9) | st.builds(Tiered, st.integers(0, 9), st.just(((300, 7),))),
)


@settings(max_examples=60, deadline=None)
@given(prices=PRICES, requests=st.integers(1, 10**9), cached=st.integers(0, 500), more=st.integers(0, 500))
def test_it_equals_the_cost_of_such_calls(prices, requests, cached, more):
    (found,) = compare([("a", "m", plain(**prices))], Mix(cached + more, cached, 7, requests), NOW)
    call = {"input": more, "cache_read": cached, "output": 7, "requests": 1}
    total = cost_of(call, prices).total
    assert (found.per_request, found.per_month) == (total, None if total is None else total * requests)
