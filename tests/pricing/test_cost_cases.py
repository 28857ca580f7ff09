"""Costs worked out by hand from documented prices, through the price book as it is synced, rendered and read."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

import pytest

from tests.pricing.conftest import COST_CASES
from wire.cost import cost_of
from wire.money import pico_per_unit
from wire.prices import PriceBook, Tiered, context_of

pytestmark = pytest.mark.django_db  # the price book goes through SQL

CASES = COST_CASES["cases"]


def test_there_are_enough_of_every_kind():
    of = {name: [case for case in CASES if case["provider"] == name] for name in ("openai", "anthropic", "google")}
    assert len(CASES) >= 25
    assert all(len(cases) >= 5 for cases in of.values())
    assert {case["service_tier"] for case in of["openai"]} >= {"", "default", "priority", "flex", "batch"}
    assert any({"cache_write_5m", "cache_write_1h"} <= case["units"].keys() for case in of["anthropic"])
    assert {"deepseek", "mistral"} <= {case["provider"] for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_price_book_gives_the_hand_made_amount(case, price_book: PriceBook):
    match = price_book.find(case["provider"], case["model"])
    assert match is not None
    assert match.priced_as == case["priced_as"]
    prices = match.prices.at(datetime.fromisoformat(case["at"]), context_of(case["service_tier"]))
    cost = cost_of(case["units"], prices)
    assert cost.total == case["pico_usd"]
    # line by line, so that two errors cannot make up for each other
    assert [(line.count, line.price) for line in cost.lines] == _addends(case["sum"])
    assert {line.unit: line.price for line in cost.lines} == {
        unit: _documented(case, unit, said) for unit, said in case["documented_usd"].items()
    }


@pytest.mark.parametrize("known", COST_CASES["disagreements"], ids=lambda known: f"{known['model']} {known['unit']}")
def test_where_catalogue_and_documentation_are_known_to_disagree_they_still_do(known, price_book: PriceBook):
    """When one of these fails, the catalogue was put right: make a case of it."""
    match = price_book.find(known["provider"], known["model"])
    prices = match.prices.at(datetime.fromisoformat(known["at"]))
    (line,) = cost_of({known["unit"]: 1}, prices).lines
    assert line.price == pico_per_unit(Decimal(known["catalogue_usd"]), 10**6)[0]
    assert line.price != pico_per_unit(Decimal(known["documented_usd"]), 10**6)[0]


def test_a_borrowed_model_has_the_list_price_in_every_tier(price_book: PriceBook):
    at = datetime.fromisoformat("2026-11-20T10:00:00Z")
    own, borrowed = price_book.find("openai", "gpt-4o-mini"), price_book.find("azure", "gpt-4o-mini")
    assert borrowed.priced_as == "openai/gpt-4o-mini"
    assert cost_of({"input": 1}, own.prices.at(at, context_of("priority"))).total == 250_000
    assert cost_of({"input": 1}, borrowed.prices.at(at, context_of("priority"))).total == 150_000
    assert borrowed.prices.at(at) == own.prices.at(at)


def _addends(text: str) -> list[tuple[int, int]]:
    number = r"(\d[\d,]*)"
    return [
        (int(count.replace(",", "")), int(price.replace(",", "")))
        for count, price in re.findall(rf"{number} × {number}", text)
    ]


def _documented(case, unit: str, said) -> int:
    per = case.get("documented_per", {}).get(unit, 10**6)
    if isinstance(said, str):
        return pico_per_unit(Decimal(said), per)[0]
    start, above = said["above"]
    tiered = Tiered(pico_per_unit(Decimal(said["up_to"]), per)[0], ((start, pico_per_unit(Decimal(above), per)[0]),))
    return tiered.at(sum(case["units"].get(name, 0) for name in ("input", "cache_read")))
