"""A change of prices leaves the past alone: before its day the old prices hold, from it on the new ones."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.history import Move, compose, largest_move, same_from, takes_effect
from wire.prices import ModelPrices, PricePeriod, PriceVariant, Tiered

DAY = date(2026, 11, 21)
_days = st.integers(-60, 60).map(lambda days: DAY + timedelta(days=days))
_times = st.integers(0, 23).map(lambda hour: time(hour))
_hours = st.none() | st.tuples(_times, _times)
_prices = st.dictionaries(
    st.sampled_from(["input", "output", "cache_read", "requests"]),
    st.integers(0, 5) | st.builds(Tiered, st.integers(0, 5), st.just(((100, 7),))),
    max_size=3,
)
_periods = st.builds(PricePeriod, _prices, st.none() | _days, _hours)
_when = st.sampled_from(
    [{"service_tier": "batch"}, {"service_tier": "flex"}, {"processing": "batch"}, {"speed": "fast"}]
)
_variants = st.builds(PriceVariant, _when, _prices, st.none() | _days, _hours, st.none() | _days)
MODELS = st.builds(
    ModelPrices,
    st.lists(_periods, min_size=1, max_size=4).map(tuple),
    st.lists(_variants, max_size=3).map(tuple),
    st.booleans(),
)
CONTEXTS = st.sampled_from(
    [
        {},
        {"service_tier": "batch"},
        {"service_tier": "batch", "processing": "batch"},
        {"service_tier": "flex"},
        {"service_tier": "fast", "speed": "fast"},
    ]
)
MOMENTS = st.integers(-70 * 86_400, 70 * 86_400).map(
    lambda seconds: datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=seconds)
)


@settings(max_examples=400, deadline=None)
@given(held=MODELS, listed=MODELS, effective=_days, moment=MOMENTS, context=CONTEXTS)
def test_before_the_day_the_old_prices_hold_and_from_it_on_the_new(held, listed, effective, moment, context):
    composed = compose(held, listed, effective)
    day = takes_effect(held, listed, effective)
    assert day <= effective
    expected = listed if moment.date() >= day else held
    assert composed.at(moment, context) == expected.at(moment, context)
    assert composed.deprecated == listed.deprecated


@settings(max_examples=300, deadline=None)
@given(held=MODELS, listed=MODELS, effective=_days, later=st.integers(0, 40))
def test_composing_again_with_the_same_prices_changes_nothing(held, listed, effective, later):
    once = compose(held, listed, effective)
    assert compose(once, listed, effective + timedelta(days=later)) == once
    assert compose(held, held, effective) == held


@settings(max_examples=200, deadline=None)
@given(one=MODELS, other=MODELS, moment=MOMENTS, context=CONTEXTS, day=_days)
def test_what_is_called_the_same_is_the_same_at_every_moment(one, other, moment, context, day):
    for left, right in ((one, other), (one, compose(one, other, day)), (compose(other, one, day), one)):
        if same_from(left, right, day) and moment.date() >= day:
            assert left.at(moment, context) == right.at(moment, context)
            assert largest_move(left, right, day) is None
    assert same_from(one, one, day)


@settings(max_examples=100, deadline=None)
@given(first=MODELS, changes=st.lists(MODELS, min_size=2, max_size=6), effective=_days)
def test_changes_within_a_day_do_not_pile_up(first, changes, effective):
    prices = first
    for listed in changes:
        prices = compose(prices, listed, effective)
    most = len(first.periods) + max(len(each.periods) for each in changes) + 1
    starts_known = {span.start for each in (first, *changes) for span in each.periods if span.start}
    assert len(prices.periods) <= most + len(starts_known) * len(changes)
    assert compose(prices, changes[-1], effective) == prices


@settings(max_examples=100, deadline=None)
@given(prices=MODELS)
def test_composed_prices_survive_the_journey_through_json(prices):
    composed = compose(prices, ModelPrices((PricePeriod({"input": 9}),)), DAY)
    assert msgspec.json.decode(msgspec.json.encode(composed), type=ModelPrices) == composed


def plain(**prices):
    return ModelPrices((PricePeriod(dict(prices)),))


def test_a_price_that_changes_gets_a_period_of_its_own():
    composed = compose(plain(input=10), plain(input=12), DAY)
    assert composed.periods == (PricePeriod({"input": 10}), PricePeriod({"input": 12}, DAY))


def test_changing_back_and_forth_on_one_day_leaves_one_period():
    there = compose(plain(input=10), plain(input=12), DAY)
    assert compose(there, plain(input=10), DAY).periods == (PricePeriod({"input": 10}), PricePeriod({"input": 10}, DAY))


def test_a_source_that_dates_its_price_is_right_about_its_date():
    earlier = DAY - timedelta(days=10)
    listed = ModelPrices((PricePeriod({"input": 10}), PricePeriod({"input": 12}, earlier)))
    assert takes_effect(plain(input=10), listed, DAY) == earlier
    assert compose(plain(input=10), listed, DAY) == listed


def test_a_dated_price_that_is_edited_in_place_changes_nothing_before_today():
    earlier = DAY - timedelta(days=10)
    held = ModelPrices((PricePeriod({"input": 10}), PricePeriod({"input": 12}, earlier)))
    listed = ModelPrices((PricePeriod({"input": 10}), PricePeriod({"input": 13}, earlier)))
    composed = compose(held, listed, DAY)
    assert [composed.at(datetime(2026, 11, day, 12, tzinfo=UTC))["input"] for day in (1, 12, 20, 21)] == [
        10,
        12,
        12,
        13,
    ]


def test_a_source_that_forgets_its_history_changes_nothing():
    held = ModelPrices((PricePeriod({"input": 10}), PricePeriod({"input": 12}, DAY - timedelta(days=10))))
    assert compose(held, plain(input=12), DAY) == held


def test_hours_of_the_day_are_kept():
    night = (time(16, 30), time(0, 30))
    listed = ModelPrices((PricePeriod({"input": 20}), PricePeriod({"input": 5}, None, night)))
    composed = compose(plain(input=10), listed, DAY)
    at = {
        (day, hour): composed.at(datetime(2026, 11, day, hour, tzinfo=UTC))["input"]
        for day in (20, 21)
        for hour in (12, 20)
    }
    assert at == {(20, 12): 10, (20, 20): 10, (21, 12): 20, (21, 20): 5}


def test_variants_of_the_past_end_where_new_ones_begin():
    held = ModelPrices((PricePeriod({"input": 10}),), (PriceVariant({"service_tier": "batch"}, {"input": 5}),))
    composed = compose(held, plain(input=10), DAY)
    batch = {"service_tier": "batch"}
    assert composed.at(datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC), batch) == {"input": 5}
    assert composed.at(datetime(2026, 11, 21, tzinfo=UTC), batch) == {"input": 10}


@pytest.mark.parametrize(
    ("before", "after", "points"),
    [
        (plain(input=100), plain(input=110), 1000),
        (plain(input=100), plain(input=90), -1000),
        (plain(input=3), plain(input=4), 3334),
        (plain(input=0), plain(input=1), None),
        (plain(input=100, output=5), plain(input=100), -10_000),
        (plain(input=100), plain(input=100, cache_read=50), -5000),
        (plain(input=100), plain(input=100, requests=5), None),
        (plain(input=Tiered(100, ((200, 100),))), plain(input=Tiered(100, ((200, 150),))), 5000),
        (plain(input=100), plain(input=Tiered(100, ((200, 120),))), 2000),
        (plain(), plain(input=100), 0),
    ],
)
def test_the_largest_move_is_found(before, after, points):
    move = largest_move(before, after, DAY)
    assert (move.basis_points if move else 0) == points


def test_a_move_that_will_come_later_or_at_night_only_counts():
    later = ModelPrices((PricePeriod({"input": 100}), PricePeriod({"input": 200}, DAY + timedelta(days=30))))
    assert largest_move(plain(input=100), later, DAY) == Move("input", 100, 200)
    night = ModelPrices((PricePeriod({"input": 100}), PricePeriod({"input": 70}, None, (time(22), time(6)))))
    assert largest_move(plain(input=100), night, DAY) == Move("input", 100, 70)
    batch = ModelPrices((PricePeriod({"input": 100}),), (PriceVariant({"processing": "batch"}, {"input": 40}),))
    assert largest_move(plain(input=100), batch, DAY) == Move("input", 100, 40)


def test_of_figures_that_move_alike_the_one_that_people_read_first_is_named():
    before = plain(cache_read=10, output=400, input=100, web_searches=1_000)
    after = plain(cache_read=20, output=800, input=200, web_searches=2_000)
    assert largest_move(before, after, DAY) == Move("input", 100, 200)
