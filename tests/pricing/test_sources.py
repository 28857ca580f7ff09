"""All of the bundled catalogue is taken over; what is rounded or cannot be said is reported, never dropped."""

from __future__ import annotations

import copy
import re
from datetime import date, time, timedelta, timezone
from decimal import Decimal

import pytest
from genai_prices import types
from genai_prices.data import providers
from genai_prices.data_units import unit_data

from pricing.sources.base import Catalogue, SourceError, all_prices, check
from pricing.sources.genai_prices import PRICE_KEYS, catalogue_of
from wire.money import pico_per_unit
from wire.prices import PricePeriod, PriceVariant, Tiered
from wire.units import UNITS


def given(**fields) -> types.Provider:
    model = types.ModelInfo(**{"id": "m", "match": types.ClauseEquals("m"), **fields})
    return types.Provider(id="p", name="P", api_pattern="", models=[model])


def read(**fields) -> Catalogue:
    return catalogue_of([given(**fields)], "0")


def one(found: Catalogue):
    return found.providers[0].models[0]


def test_every_unit_that_the_package_can_price_is_one_of_ours():
    assert {unit["price_key"]: unit["per"] for unit in unit_data.values()} == {
        key: per for key, (_, per) in PRICE_KEYS.items()
    }
    assert {unit for unit, _ in PRICE_KEYS.values()} <= UNITS.keys()
    assert len({unit for unit, _ in PRICE_KEYS.values()}) == len(PRICE_KEYS)


def test_every_figure_of_every_model_is_taken_over(catalogue: Catalogue):
    check(catalogue)
    theirs = {(provider.id, model.id): _figures(model) for provider in providers for model in provider.models}
    assert catalogue.model_count == len(theirs)
    for provider in catalogue.providers:
        for model in provider.models:
            free = model.id.endswith(":free") and not theirs[provider.id, model.id]
            ours = sorted(
                (unit, amount)
                for unit, price in all_prices(model.prices)
                for amount in (
                    (price.base, *(pico for _, pico in price.tiers)) if isinstance(price, Tiered) else (price,)
                )
            )
            assert ours == ([("input", 0), ("output", 0)] if free else theirs[provider.id, model.id])


def _figures(model) -> list[tuple[str, int]]:
    spans = [each.prices for each in model.prices] if isinstance(model.prices, list) else [model.prices]
    spans += [variant.prices for variant in model.price_variants or ()]
    found = []
    for span in spans:
        for key, value in vars(span).items():
            unit, per = PRICE_KEYS[key]
            amounts = [value.base, *(tier.price for tier in value.tiers)] if hasattr(value, "tiers") else [value]
            found += [(unit, pico_per_unit(amount, per)[0]) for amount in amounts]
    return sorted(found)


def test_each_rounded_figure_is_listed_with_what_was_said_and_kept(catalogue: Catalogue):
    said = {(each.provider, each.model, each.unit): each for each in catalogue.report.rounded}
    whisper = said["groq", "whisper-large-v3", "audio_in_seconds"]
    assert (whisper.said, whisper.kept) in {("0.111 USD for 3,600", 30_833_333), ("0.0555 USD for 3,600", 15_416_667)}
    for each in catalogue.report.rounded:
        amount, per = re.fullmatch(r"(\S+) USD for ([\d,]+)", each.said).groups()
        assert pico_per_unit(Decimal(amount), int(per.replace(",", ""))) == (each.kept, True)


def test_what_cannot_be_expressed_is_listed(catalogue: Catalogue):
    what = {(each.provider, each.model): each.what for each in catalogue.report.unexpressed}
    assert "at least 10 seconds" in what["groq", "whisper-large-v3"]
    assert "search_type" in what["perplexity", "perplexity/sonar"]
    assert "without any price" in what["openai", "moderation"]
    assert "reading usage out of answers" in what["anthropic", ""]


def test_notes_names_and_rules_come_along(catalogue: Catalogue):
    openai = next(provider for provider in catalogue.providers if provider.id == "openai")
    azure = next(provider for provider in catalogue.providers if provider.id == "azure")
    model = next(model for model in openai.models if model.id == "gpt-4o-mini")
    assert (openai.name, openai.provider_match) == ("OpenAI", {"contains": "openai"})
    assert openai.pricing_urls[0].startswith("https://")
    assert (model.context_window, model.name) == (128_000, "gpt 4o mini")
    assert "https://" in model.note
    assert [model for _, model in openai.rules.rules] == [model.id for model in openai.models]
    assert azure.rules.fallbacks[0] == "openai"
    assert openai.rules.model_match is not None


def test_periods_tiers_and_variants_become_ours():
    found = read(
        prices=[
            types.ConditionalPrice(prices=types.ModelPrice(input_mtok=Decimal("1"))),
            types.ConditionalPrice(
                types.StartDateConstraint(date(2026, 5, 1)),
                prices=types.ModelPrice(
                    input_mtok=types.TieredPrices(base=Decimal("2"), tiers=[types.Tier(200_000, Decimal("4"))])
                ),
            ),
            types.ConditionalPrice(
                types.TimeOfDateConstraint(
                    time(1, tzinfo=timezone(timedelta(hours=8))), time(9, tzinfo=timezone(timedelta(hours=8)))
                ),
                prices=types.ModelPrice(input_mtok=Decimal("0.5")),
            ),
        ],
        price_variants=[types.PriceVariant({"processing": "batch"}, types.ModelPrice(input_mtok=Decimal("0.25")))],
        deprecated=True,
    )
    prices = one(found).prices
    assert prices.periods == (
        PricePeriod({"input": 1_000_000}),
        PricePeriod({"input": Tiered(2_000_000, ((200_000, 4_000_000),))}, date(2026, 5, 1)),
        PricePeriod({"input": 500_000}, hours=(time(17), time(1))),  # Beijing's hours, in UTC
    )
    assert prices.variants == (PriceVariant({"processing": "batch"}, {"input": 250_000}),)
    assert prices.deprecated
    assert found.report.unexpressed == ()


def test_clauses_of_all_kinds_become_ours():
    clause = types.ClauseOr(
        [
            types.ClauseStartsWith("a"),
            types.ClauseAnd([types.ClauseEndsWith("b"), types.ClauseContains("c")]),
            types.ClauseRegex("d+"),
            types.ClauseEquals("e"),
        ]
    )
    found = read(match=clause, prices=types.ModelPrice(input_mtok=Decimal(1)))
    assert found.providers[0].rules.rules == (
        (
            {
                "or": [
                    {"starts_with": "a"},
                    {"and": [{"ends_with": "b"}, {"contains": "c"}]},
                    {"regex": "d+"},
                    {"equals": "e"},
                ]
            },
            "m",
        ),
    )


def test_a_unit_of_a_newer_release_is_reported_and_the_rest_taken():
    found = read(prices=types.ModelPrice(input_mtok=Decimal(1), smell_mtok=Decimal(2)))
    assert one(found).prices.periods[0].prices == {"input": 1_000_000}
    assert [each.what for each in found.report.unexpressed] == [
        "A price for smell_mtok, a unit that is not known here."
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"prices": types.ModelPrice(input_mtok=Decimal("-1"))},
        {"prices": types.ModelPrice(input_mtok=Decimal("NaN"))},
        {"prices": types.ModelPrice(input_mtok="0.1")},
        {"prices": types.ModelPrice(input_mtok=0.1)},
        {"prices": "none"},
        {"match": None},
    ],
)
def test_what_is_no_price_or_rule_stops_the_sync_and_says_where(fields):
    with pytest.raises(SourceError, match=r"genai-prices 0 could not be read at p"):
        read(**({"prices": types.ModelPrice()} | fields))


def test_reading_leaves_the_package_as_it_was():
    before = copy.deepcopy(providers[0])
    catalogue_of(providers[:1], "0")
    assert before == providers[0]
