"""The price book's reader: periods, variants, and the model a name means."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

import msgspec
import pytest

from wire.prices import (
    Match,
    ModelPrices,
    PriceBook,
    PricePeriod,
    PriceVariant,
    PricingBlob,
    ProviderRules,
    Tiered,
    clause_matches,
    context_of,
    tier_named,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def prices(amount: int) -> ModelPrices:
    return ModelPrices((PricePeriod({"input": amount}),))


def book(providers: dict[str, ProviderRules], **models: dict[str, ModelPrices]) -> PriceBook:
    listed = {
        name: models.get(name) or {model: prices(1) for _, model in rules.rules} for name, rules in providers.items()
    }
    return PriceBook(PricingBlob(1, 1, "dev", 7, "test", listed, providers, tuple(providers)))


def test_the_last_period_that_holds_decides_and_the_first_when_none_does():
    model = ModelPrices(
        (
            PricePeriod({"input": 1}, date(2025, 1, 1)),
            PricePeriod({"input": 2}, date(2025, 6, 10)),
            PricePeriod({"input": 3}, hours=(time(16, 30), time(0, 30))),
        )
    )
    assert model.at(datetime(2025, 6, 9, 12, tzinfo=UTC)) == {"input": 1}
    assert model.at(datetime(2025, 6, 10, 0, 30, tzinfo=UTC)) == {"input": 2}
    assert model.at(datetime(2025, 6, 10, 16, 30, tzinfo=UTC)) == {"input": 3}
    assert model.at(datetime(2024, 1, 1, 12, tzinfo=UTC)) == {"input": 1}


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        (time(16, 29, 59, 999_999), False),
        (time(16, 30), True),
        (time(23, 59, 59), True),
        (time(0, 0), True),
        (time(0, 29, 59, 999_999), True),
        (time(0, 30), False),
    ],
)
def test_hours_may_cross_midnight_and_end_before_their_end(at, holds):
    period = PricePeriod({}, hours=(time(16, 30), time(0, 30)))
    assert period.active(datetime.combine(date(2026, 3, 1), at, UTC)) is holds


def test_days_and_hours_are_those_of_utc():
    kolkata = timezone(timedelta(hours=5, minutes=30))
    period = PricePeriod({}, date(2026, 3, 1), (time(1), time(4)))
    assert not period.active(datetime(2026, 3, 1, 4, tzinfo=kolkata))  # still February in UTC
    assert period.active(datetime(2026, 3, 1, 6, 30, tzinfo=kolkata))
    assert not period.active(datetime(2026, 3, 1, 9, 30, tzinfo=kolkata))


def test_variants_replace_prices_unit_by_unit_and_the_first_match_wins():
    model = ModelPrices(
        (PricePeriod({"input": 10, "output": 20, "cache_read": 1}),),
        (
            PriceVariant({"service_tier": "priority"}, {"input": 15}, date(2026, 6, 1)),
            PriceVariant({"service_tier": "priority"}, {"input": 99, "output": 30}),
            PriceVariant({"service_tier": "priority", "processing": "batch"}, {"cache_read": 9}),
        ),
    )
    assert model.at(NOON) == {"input": 10, "output": 20, "cache_read": 1}
    assert model.at(NOON, {"service_tier": "default"}) == model.at(NOON)
    assert model.at(NOON, {"service_tier": "priority"}) == {"input": 15, "output": 30, "cache_read": 1}
    assert model.at(NOON - timedelta(days=1), {"service_tier": "priority"})["input"] == 99


@pytest.mark.parametrize(
    ("service_tier", "speed", "context"),
    [
        ("", "", {}),
        ("default", "", {"service_tier": "default"}),
        ("priority", "standard", {"service_tier": "priority"}),
        ("batch", "", {"service_tier": "batch", "processing": "batch"}),
        ("standard", "fast", {"service_tier": "fast", "speed": "fast"}),
    ],
)
def test_one_word_in_an_event_says_which_variants_hold(service_tier, speed, context):
    assert context_of(tier_named(service_tier, speed)) == context


@pytest.mark.parametrize(
    ("clause", "name", "matches"),
    [
        ({"equals": "GPT-4o"}, "gpt-4o", True),
        ({"equals": "gpt-4o"}, "gpt-4o-mini", False),
        ({"starts_with": "Claude-"}, "claude-x", True),
        ({"ends_with": ":FREE"}, "a:free", True),
        ({"contains": "Mini"}, "gpt-mini-x", True),
        ({"contains": "mini"}, "gpt", False),
        ({"regex": r"^gpt-\d$"}, "gpt-5", True),
        ({"regex": r"^gpt-\d$"}, "gpt-55", False),
        ({"or": [{"equals": "a"}, {"and": [{"starts_with": "b"}, {"ends_with": "z"}]}]}, "b-z", True),
        ({"and": [{"starts_with": "b"}, {"contains": "x"}]}, "b-z", False),
    ],
)
def test_clauses(clause, name, matches):
    assert clause_matches(clause, name) is matches


@pytest.mark.parametrize(
    "clause", [{"sounds_like": "gpt"}, {}, {"equals": "a", "contains": "b"}, {"regex": "("}, {"equals": 5}]
)
def test_a_clause_we_do_not_know_is_an_error_and_never_a_miss(clause):
    with pytest.raises(ValueError, match=r"clause|expression"):
        clause_matches(clause, "gpt")


def test_the_first_rule_that_fits_decides_whatever_its_kind():
    found = book(
        {
            "p": ProviderRules(
                (
                    ({"starts_with": "a-special"}, "special"),
                    ({"or": [{"equals": "a"}, {"contains": "b"}]}, "first"),
                    ({"equals": "a-special-one"}, "never"),
                    ({"equals": "a-b"}, "never"),
                    ({"starts_with": "a"}, "rest"),
                )
            )
        }
    )
    names = {"a": "first", "A-B": "first", "a-special-one": "special", "abacus": "first", "ac": "rest"}
    assert {name: found.find("p", name).model for name in names} == names
    assert found.find("p", "z") is None
    assert found.find("stranger", "a") is None


def test_compact_dates_are_tried_as_dashed_ones_only_when_nothing_else_fits():
    found = book(
        {"p": ProviderRules((({"equals": "gpt-2025-12-11"}, "dashed"), ({"equals": "old-20240229"}, "compact")))}
    )
    assert found.find("p", "gpt-20251211").model == "dashed"
    assert found.find("p", "old-20240229").model == "compact"
    assert found.find("p", "gpt-20251399") is None
    assert found.find("p", "gpt-20250230") is None


def test_one_step_of_borrowing_without_the_owners_tiers():
    tiers = ModelPrices((PricePeriod({"input": 1}),), (PriceVariant({"service_tier": "flex"}, {"input": 0}),), True)
    found = book(
        {
            "azure": ProviderRules((({"equals": "own"}, "own"),), fallbacks=("gone", "openai")),
            "openai": ProviderRules(
                (({"starts_with": "gpt"}, "gpt"), ({"equals": "own"}, "own")), fallbacks=("third",)
            ),
            "third": ProviderRules((({"equals": "far"}, "far"),)),
        },
        openai={"gpt": tiers, "own": prices(2)},
    )
    assert found.find("azure", "own") == Match("azure", "own", prices(1))
    borrowed = found.find("azure", "gpt-x")
    assert (borrowed.provider, borrowed.model, borrowed.priced_as) == ("openai", "gpt", "openai/gpt")
    assert borrowed.prices == ModelPrices(tiers.periods, deprecated=True)
    assert found.find("openai", "gpt-x").prices == tiers
    assert found.find("azure", "far") is None


def test_the_provider_of_a_name_follows_the_order_of_the_catalogue():
    blob = PricingBlob(
        1,
        1,
        "dev",
        1,
        "test",
        {},
        {
            "a": ProviderRules((), {"contains": "gpt"}),
            "b": ProviderRules((), {"starts_with": "gpt"}),
            "c": ProviderRules(()),
        },
        ("b", "a", "c"),
    )
    found = PriceBook(blob)
    assert found.provider_of("GPT-5") == "b"
    assert found.provider_of("my-gpt") == "a"
    assert found.provider_of("llama") is None


def test_look_ups_keep_no_more_than_their_bound():
    found = book({"p": ProviderRules((({"contains": "x"}, "m"),), {"contains": "x"})})
    assert found.find("p", "x" * 513) is None
    assert found.provider_of("x" * 513) is None
    assert found.find("p", "x" * 512).model == "m"
    for number in range(20_100):
        found.find("p", f"x{number}")
    assert found._find_cached.cache_info().currsize == 20_000
    assert found.find("p", "x0").model == "m"


def test_a_blob_is_the_same_after_a_journey():
    blob = PricingBlob(
        1,
        3,
        "prod",
        9,
        "test 1",
        {
            "p": {
                "m": ModelPrices(
                    (
                        PricePeriod({"input": 1}),
                        PricePeriod(
                            {"input": Tiered(1, ((200_000, 2),))}, date(2026, 1, 1), (time(0, 30), time(16, 30))
                        ),
                    ),
                    (PriceVariant({"processing": "batch"}, {"input": 1}),),
                    deprecated=True,
                )
            }
        },
        {"p": ProviderRules((({"or": [{"equals": "m"}, {"regex": "^m"}]}, "m"),), {"contains": "m"}, ("q",))},
        ("p",),
    )
    sent = msgspec.json.encode(blob)
    assert b'"from":"2026-01-01"' in sent
    assert msgspec.json.decode(sent, type=PricingBlob) == blob
