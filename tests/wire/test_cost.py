"""Cost is units times price, exactly; what has no price is not free."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.cost import cost_of
from wire.money import pico_per_unit
from wire.prices import Tiered
from wire.units import INPUT_TOKENS, OUTPUT_TOKENS, UNITS

FIXTURE = json.loads((Path(__file__).parent / "fixtures" / "cost_cases.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", FIXTURE["cases"], ids=[case["name"] for case in FIXTURE["cases"]])
def test_documented_prices_give_the_hand_made_amount(case):
    """The contract: any implementation must get these amounts from these prices."""
    addends = re.findall(r"([\d,]+) × ([\d,]+)", case["sum"])
    assert sum(int(a.replace(",", "")) * int(b.replace(",", "")) for a, b in addends) == case["pico_usd"]
    prices = {unit: _price(said, case.get("documented_per", {}).get(unit, 10**6)) for unit, said in _said(case)}
    assert cost_of(case["units"], prices).total == case["pico_usd"]


def _said(case):
    return case["documented_usd"].items()


def _price(said, per: int) -> int | Tiered:
    if isinstance(said, str):
        return pico_per_unit(Decimal(said), per)[0]
    start, above = said["above"]
    return Tiered(pico_per_unit(Decimal(said["up_to"]), per)[0], ((start, pico_per_unit(Decimal(above), per)[0]),))


def test_a_line_says_what_it_was_made_of():
    cost = cost_of({"requests": 1, "input": 21, "output": 64}, {"input": 150_000, "output": 600_000})
    assert cost.total == 41_550_000
    assert [(line.unit, line.count, line.price, line.amount) for line in cost.lines] == [
        ("input", 21, 150_000, 3_150_000),
        ("output", 64, 600_000, 38_400_000),
    ]


@pytest.mark.parametrize(
    ("unit", "prices", "taken"),
    [
        ("cache_write_5m", {"input": 3, "cache_write": 4, "cache_write_1h": 6}, "cache_write"),
        ("cache_write_1h", {"input": 3, "cache_write": 4, "cache_write_1h": 6}, "cache_write_1h"),
        ("cache_read", {"input": 3}, "input"),
        ("reasoning", {"input": 3, "output": 9}, "output"),
        ("audio_cache_read", {"input": 3, "audio_in": 32}, "audio_in"),
        ("audio_cache_read", {"input": 3, "cache_read": 1}, "cache_read"),
        ("image_cache_write_1h", {"input": 3, "cache_write": 4, "cache_write_1h": 6}, "cache_write_1h"),
        ("audio_in_seconds", {"audio_seconds": 7}, "audio_seconds"),
        ("annotated_pages_in", {"pages_in": 7}, "pages_in"),
    ],
)
def test_a_unit_without_a_price_takes_that_of_what_it_is_a_part_of(unit, prices, taken):
    (line,) = cost_of({unit: 2}, prices).lines
    assert (line.priced_as, line.amount) == (taken, 2 * prices[taken])


def test_unpriced_is_not_free():
    cost = cost_of({"input": 10, "web_searches": 1, "output": 3}, {"input": 5, "output": 7})
    assert cost.total is None
    assert cost.unpriced == ("web_searches",)
    assert [line.amount for line in cost.lines] == [50, 21]


def test_a_unit_nobody_knows_is_unpriced_until_it_has_a_price():
    assert cost_of({"dreams": 1}, {"input": 5}).unpriced == ("dreams",)
    assert cost_of({"dreams": 2}, {"dreams": 5}).total == 10


def test_a_price_of_zero_is_free():
    assert cost_of({"input": 10, "cache_read": 10}, {"input": 0}).total == 0


def test_nothing_used_costs_nothing_and_needs_no_price():
    assert cost_of({}, {}).total == 0
    assert cost_of({"input": 0, "web_searches": 0}, {}) == cost_of({}, {})


def test_a_request_costs_only_where_requests_have_a_price():
    assert cost_of({"requests": 1}, {"input": 1}).total == 0
    assert cost_of({"requests": 1, "input": 2}, {"input": 1, "requests": 12_000_000_000}).total == 12_000_000_002


def test_usage_is_never_negative():
    with pytest.raises(ValueError, match="cannot use -1 of input"):
        cost_of({"input": -1}, {"input": 5})


TIERED = {"input": Tiered(1, ((128_000, 2), (200_000, 4))), "output": 10}


@pytest.mark.parametrize(
    ("units", "price", "above"),
    [
        ({"input": 128_000}, 1, None),
        ({"input": 128_001}, 2, 128_000),
        ({"input": 200_000}, 2, 128_000),
        ({"input": 200_001}, 4, 200_000),
        ({"input": 1, "cache_read": 199_999, "cache_write_5m": 1}, 4, 200_000),
        ({"input": 1, "audio_in": 128_000}, 2, 128_000),
        ({"input": 1, "output": 500_000}, 1, None),
    ],
)
def test_a_tier_begins_above_its_start_and_all_input_counts_for_it(units, price, above):
    line = next(line for line in cost_of(units, TIERED).lines if line.unit == "input")
    assert (line.price, line.tier_above) == (price, above)


@given(st.dictionaries(st.sampled_from(sorted(UNITS)), st.integers(0, 10**9), max_size=8))
def test_the_total_is_the_sum_of_lines_whatever_the_order_of_units(units):
    prices = {"input": 3, "output": 7, "audio_seconds": 11, "requests": 13, "web_searches": Tiered(1, ((1000, 2),))}
    cost = cost_of(units, prices)
    turned = cost_of(dict(reversed(units.items())), prices)
    assert all(line.amount == line.count * line.price for line in cost.lines)
    assert cost.total == turned.total
    if cost.total is not None:
        assert cost.total == sum(line.amount for line in cost.lines)
        assert {line.unit for line in cost.lines} | {"requests"} >= {name for name, count in units.items() if count}


def test_units_fall_back_on_units_of_the_same_measure_and_direction():
    for unit in UNITS.values():
        assert unit.label, unit
        for name in unit.fallbacks:
            other = UNITS[name]
            assert other.measure is unit.measure
            assert other.direction in (unit.direction, "")
            # what a fallback falls back on comes after it, so the closest price is found first
            rest = unit.fallbacks[unit.fallbacks.index(name) + 1 :]
            assert set(other.fallbacks) <= set(rest), unit


def test_tokens_are_either_input_or_output():
    assert not INPUT_TOKENS & OUTPUT_TOKENS
    assert {"input", "cache_read", "cache_write_1h", "video_cache_write_5m", "tool_in"} <= INPUT_TOKENS
    assert {"output", "reasoning", "text_citation"} <= OUTPUT_TOKENS
