"""Our price book finds the model that the genai-prices package finds, by whatever name."""

from __future__ import annotations

import random

import pytest
from genai_prices.data import providers
from genai_prices.data_snapshot import DataSnapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.prices import PriceBook

pytestmark = pytest.mark.django_db  # the price book goes through SQL

IDS = [(provider.id, model.id) for provider in providers for model in provider.models]
OWNERS = {id(model): provider.id for provider in providers for model in provider.models}
SUFFIXES = [
    "-2025-08-07",
    "-20250807",
    "-20251399",
    "@20250929",
    ":free",
    ":batch",
    "-latest",
    "-v1:0",
    "-preview",
    "x",
]
PREFIXES = ["", "openai/", "us.anthropic.", "models/", "accounts/fireworks/models/", "ft:", "~", "my-"]


def theirs(provider: str, name: str) -> tuple[str, str] | None:
    """What the package finds: the provider that owns the model, and the model."""
    snapshot = DataSnapshot(providers=providers, from_auto_update=False)
    try:
        _, model = snapshot.find_provider_model(name, None, provider, None)
    except LookupError:
        return None
    return OWNERS[id(model)], model.id


def ours(book: PriceBook, provider: str, name: str) -> tuple[str, str] | None:
    match = book.find(provider, name)
    return (match.provider, match.model) if match else None


def test_every_model_is_found_by_its_id(price_book: PriceBook):
    assert len(IDS) == len(price_book)
    different = [
        (provider, model, theirs(provider, model), ours(price_book, provider, model))
        for provider, model in IDS
        if theirs(provider, model) != ours(price_book, provider, model)
    ]
    assert different == []


def test_providers_that_borrow_find_the_models_of_all_others(price_book: PriceBook):
    borrowers = [provider.id for provider in providers if provider.fallback_model_providers]
    assert {"azure", "google"} <= set(borrowers)
    found = 0
    for borrower in borrowers:
        for _, model in IDS:
            expected = theirs(borrower, model)
            assert ours(price_book, borrower, model) == expected, (borrower, model)
            found += expected is not None and expected[0] != borrower
    assert found > 100


@settings(max_examples=150, deadline=None)
@given(
    at=st.sampled_from(IDS),
    prefix=st.sampled_from(PREFIXES),
    suffix=st.one_of(st.just(""), st.sampled_from(SUFFIXES), st.text("abc0123456789-.:/@", max_size=12)),
    cut=st.integers(0, 6),
    upper=st.booleans(),
    elsewhere=st.sampled_from([None, *(provider.id for provider in providers)]),
)
def test_changed_names_find_the_same_model_or_none(price_book: PriceBook, at, prefix, suffix, cut, upper, elsewhere):
    own, model = at
    provider = elsewhere or own
    name = prefix + model[: len(model) - cut] + suffix
    name = name.upper() if upper else name
    assert ours(price_book, provider, name) == theirs(provider, name)


def test_many_scrambled_names(price_book: PriceBook):
    """More names than a property test has patience for, from a fixed seed."""
    chance = random.Random(20261121)
    for _ in range(2500):
        provider, model = chance.choice(IDS)
        letters = list(model)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(letters))
            letters[place] = chance.choice(["", letters[place] * 2, "-", "3", "a", letters[place].upper()])
        name = chance.choice(PREFIXES) + "".join(letters) + chance.choice(["", *SUFFIXES])
        assert ours(price_book, provider, name) == theirs(provider, name), (provider, name)


def test_the_provider_of_a_name(price_book: PriceBook):
    snapshot = DataSnapshot(providers=providers, from_auto_update=False)
    named = set()
    for _, model in [*IDS, ("", "gpt-99"), ("", "claude-next"), ("", "no-such-thing")]:
        for name in (model, f"{model}-20250807", f"my-{model}", model.upper()):
            try:
                expected = snapshot.find_provider(name.lower(), None, None).id
            except LookupError:
                expected = None
            assert price_book.provider_of(name) == expected, name
            named.add(expected)
    assert {"openai", "anthropic", "google", "mistral", "deepseek", None} <= named


def test_what_an_event_names_leads_back_to_the_price(price_book: PriceBook):
    """`model_priced` says whose price was taken; no id of a borrower's own may look like a borrowed one."""
    for provider, rules in price_book.blob.providers.items():
        for owner in rules.fallbacks:
            assert not [own for own in price_book.blob.models[provider] if own.startswith(f"{owner}/")]
