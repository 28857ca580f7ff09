"""Our cost equals what the genai-prices package computes itself, for every model and random usage, moments and tiers.

Known differences, each with its reason, are the functions `_differs_…` below; there are no others.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

import pytest
from genai_prices.data import providers
from genai_prices.types import ModelInfo, Provider, Usage
from genai_prices.units import _get_registry
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pricing.sources.base import Catalogue, all_prices
from pricing.sources.genai_prices import PRICE_KEYS
from wire.cost import cost_of
from wire.money import PICO_PER_USD
from wire.prices import ModelPrices, Tiered, context_of
from wire.units import UNITS

REGISTRY = _get_registry()
THEIRS = {PRICE_KEYS[unit.price_key][0]: usage_key for usage_key, unit in REGISTRY.units.items()}
COUNTS = st.one_of(
    st.integers(0, 5000),
    st.sampled_from([99_999, 100_000, 128_000, 128_001, 199_999, 200_000, 200_001, 256_000, 272_000, 272_001, 512_001]),
    st.integers(0, 2_000_000),
)
TIERS = ["", "default", "priority", "flex", "fast", "batch", "standard"]


def _edges(models: Iterable[ModelPrices]) -> list[datetime]:
    """Every moment at which some price begins or ends, and those beside it."""
    spans = [span for prices in models for span in (*prices.periods, *prices.variants)]
    starts = {datetime.combine(span.start, time(), UTC) for span in spans if span.start}
    hours = {datetime.combine(date(2026, 11, 3), hour, UTC) for span in spans for hour in span.hours or ()}
    return sorted(moment + timedelta(microseconds=off) for moment in starts | hours for off in (-1, 0, 1))


def moments(catalogue: Catalogue) -> st.SearchStrategy[datetime]:
    edges = _edges(model.prices for provider in catalogue.providers for model in provider.models)
    begin = datetime(2023, 1, 1, tzinfo=UTC)
    anytime = st.integers(0, 5 * 365 * 86_400_000).map(lambda ms: begin + timedelta(milliseconds=ms))
    return st.one_of(st.sampled_from(edges), anytime)


@lru_cache(maxsize=2000)
def _inclusive(units: tuple[tuple[str, int], ...]) -> Usage:
    """Our disjoint units as their inclusive usage: each count holds all that is more special than itself."""
    values = dict.fromkeys(REGISTRY.units.keys() - {"requests"}, 0)
    for ours, count in units:
        if ours != "requests":
            for usage_key in {THEIRS[ours]} | REGISTRY.ancestor_usage_keys(THEIRS[ours]):
                values[usage_key] += count
    return Usage(**values)


def _their_usage(units: dict[str, int]) -> Usage:
    return _inclusive(tuple(units.items()))


def _differs_free_or_unpriced(prices: ModelPrices) -> bool:
    """Listed without any price: they say it costs nothing; we say so only of models whose name ends in ":free"."""
    return not any(True for _ in all_prices(prices))


def _differs_minimum(provider: Provider, model: ModelInfo, units: dict[str, int]) -> bool:
    """Groq bills ten seconds at least: their code knows, a price book cannot say it (the report does)."""
    seconds = sum(count for unit, count in units.items() if UNITS[unit].measure == "second")
    return provider.id == "groq" and model.id in ("whisper-large-v3", "whisper-large-v3-turbo") and 0 < seconds < 10


@pytest.fixture(scope="module")
def listed(catalogue: Catalogue):
    """Every model, ours beside theirs."""
    theirs = {(provider.id, model.id): (provider, model) for provider in providers for model in provider.models}
    ours = {(provider.id, model.id): model.prices for provider in catalogue.providers for model in provider.models}
    assert theirs.keys() == ours.keys()
    assert len(ours) > 2000
    return [(*theirs[key], ours[key]) for key in theirs]


class Comparison:
    """Their amount against ours, in pico-USD."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._rounded = {(each.provider, each.model, each.unit) for each in catalogue.report.rounded}
        self.compared = 0

    def check(
        self, provider: Provider, model: ModelInfo, prices: ModelPrices, units: dict[str, int], at: datetime, tier: str
    ) -> None:
        """Raises AssertionError unless both cost the same, within the rounding of prices on entry."""
        context = context_of(tier)
        hold = prices.at(at, context)
        # what has no price is unpriced here and nothing there: that difference has a test of its own
        unpriced = cost_of(units, hold).unpriced
        used = {unit: count for unit, count in units.items() if unit not in unpriced}
        if _differs_free_or_unpriced(prices) or _differs_minimum(provider, model, used):
            return
        ours = cost_of(used, hold)
        theirs = model.calc_price(_their_usage(used), provider, genai_request_timestamp=at, price_context=context)
        off = abs(Fraction(theirs.total_price) * PICO_PER_USD - ours.total)
        # half a pico-USD for each unit whose price was rounded; their division by 3,600 ends after 28 digits
        of_rounded = [line for line in ours.lines if (provider.id, model.id, line.priced_as) in self._rounded]
        slack = sum((Fraction(line.count, 2) + Fraction(1, 10**9) for line in of_rounded), Fraction())
        assert off <= slack, (provider.id, model.id, at, tier, used, ours, theirs)
        self.compared += 1


@settings(max_examples=15, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_model_costs_what_the_package_says(listed, catalogue: Catalogue, data):
    drawn = data.draw(st.dictionaries(st.sampled_from(sorted(THEIRS)), COUNTS, min_size=1, max_size=12), label="units")
    units = drawn | {"requests": 1}
    at = data.draw(moments(catalogue), label="at")
    tier = data.draw(st.sampled_from(TIERS), label="service tier")
    comparison = Comparison(catalogue)
    for provider, model, prices in listed:
        comparison.check(provider, model, prices, units, at, tier)
    assert comparison.compared > 2000


@pytest.mark.parametrize("tier", TIERS)
def test_every_unit_of_every_model_costs_what_the_package_says(listed, catalogue: Catalogue, tier):
    """All units in one call, each counted differently, so that one wrong price shows."""
    units = {"requests": 1} | {
        unit: 101 + 37 * place for place, unit in enumerate(sorted(THEIRS)) if unit != "requests"
    }
    comparison = Comparison(catalogue)
    for provider, model, prices in listed:
        comparison.check(provider, model, prices, units, datetime(2026, 11, 20, 12, tzinfo=UTC), tier)
    assert comparison.compared > 2000


def test_prices_change_at_the_very_moment_that_the_package_says(listed, catalogue: Catalogue):
    """Each start date and time of day of each model, a microsecond before, at and after."""
    comparison = Comparison(catalogue)
    for provider, model, prices in listed:
        for at in _edges([prices]):
            for tier in TIERS if prices.variants else [""]:
                units = {"requests": 1, "input": 1009, "cache_read": 307, "output": 401, "web_searches": 3}
                comparison.check(provider, model, prices, units, at, tier)
    assert comparison.compared > 1000


def test_tiers_begin_at_the_very_token_that_the_package_says(listed, catalogue: Catalogue):
    comparison = Comparison(catalogue)
    for provider, model, prices in listed:
        starts = {start for _, price in all_prices(prices) if isinstance(price, Tiered) for start, _ in price.tiers}
        for total in sorted(start + off for start in starts for off in (-1, 0, 1)):
            for cached in (0, total // 3):
                units = {"requests": 1, "input": total - cached, "cache_read": cached, "output": 77}
                for tier in ("", "priority", "batch"):
                    comparison.check(provider, model, prices, units, datetime(2026, 11, 20, tzinfo=UTC), tier)
    assert comparison.compared > 500


def test_known_difference_what_is_listed_without_a_price_is_not_free(listed, catalogue: Catalogue):
    named = {(each.provider, each.model) for each in catalogue.report.unexpressed if "without any price" in each.what}
    without = [entry for entry in listed if _differs_free_or_unpriced(entry[2])]
    assert {(provider.id, model.id) for provider, model, _ in without} == named
    assert 0 < len(named) < 30
    for provider, model, prices in without:
        at = datetime(2026, 11, 1, tzinfo=UTC)
        assert model.calc_price(Usage(input_tokens=5), provider, genai_request_timestamp=at).total_price == 0
        assert cost_of({"input": 5}, prices.at(at)).total is None


def test_models_that_are_called_free_are_free(listed):
    free = [prices for _, model, prices in listed if model.id.endswith(":free")]
    assert len(free) > 100
    assert all(
        cost_of({"requests": 1, "input": 5, "output": 7}, prices.at(datetime.now(UTC))).total == 0 for prices in free
    )


def test_known_difference_a_unit_without_a_price_is_unpriced_and_there_it_is_nothing(listed):
    provider, model, prices = next(entry for entry in listed if entry[1].id == "text-embedding-3-small")
    at = datetime(2026, 11, 1, tzinfo=UTC)
    theirs = model.calc_price(Usage(input_tokens=5, output_tokens=7), provider, genai_request_timestamp=at)
    assert theirs.total_price == Decimal("0.0000001")
    assert cost_of({"input": 5, "output": 7}, prices.at(at)).total is None


def test_known_difference_groqs_ten_seconds(listed, catalogue: Catalogue):
    provider, model, prices = next(entry for entry in listed if entry[1].id == "whisper-large-v3")
    at = datetime(2026, 11, 1, tzinfo=UTC)
    theirs = model.calc_price(
        Usage(audio_seconds=1, input_audio_seconds=1), provider, genai_request_timestamp=at
    ).total_price
    ours = cost_of({"audio_in_seconds": 1}, prices.at(at)).total
    assert Fraction(theirs) * PICO_PER_USD == pytest.approx(10 * ours, rel=1e-6)
    assert any("10 seconds" in each.what and each.model == model.id for each in catalogue.report.unexpressed)
