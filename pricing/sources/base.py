"""What a source of prices gives: a catalogue in our own form, and a report of what did not fit that form."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Protocol

import msgspec

from wire.money import MAX_JSON_INTEGER
from wire.prices import Clause, ModelPrices, Price, ProviderRules, Tiered, compiled


class SourceError(Exception):
    """A source is empty, broken or not to be believed. Nothing was changed; the message says what was wrong."""


class Rounded(msgspec.Struct, frozen=True, kw_only=True):
    """A figure finer than a pico-USD per unit, and what was kept of it."""

    provider: str
    model: str
    unit: str
    said: str  # such as "0.111 USD for 3,600"
    kept: int  # pico-USD per unit


class Unexpressed(msgspec.Struct, frozen=True, kw_only=True):
    """Something a source says that a price book cannot. `model` is "" when it concerns the whole provider."""

    provider: str
    model: str = ""
    what: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was lost between a source and the price book: never dropped silently."""

    rounded: tuple[Rounded, ...] = ()
    unexpressed: tuple[Unexpressed, ...] = ()


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a source lists."""

    id: str
    name: str = ""
    description: str = ""
    note: str = ""
    context_window: int | None = None
    output_most: int | None = None
    capabilities: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    deprecated_on: date | None = None
    prices: ModelPrices


class ListedProvider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that a source lists, with its models in the order in which their rules are tried."""

    id: str
    name: str
    description: str = ""
    note: str = ""
    pricing_urls: tuple[str, ...] = ()
    api_pattern: str = ""
    provider_match: Clause | None = None
    rules: ProviderRules
    models: tuple[ListedModel, ...]


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """All that a source lists at one time."""

    source: str
    source_version: str
    providers: tuple[ListedProvider, ...]
    report: Report = Report()

    @property
    def model_count(self) -> int:
        return sum(len(provider.models) for provider in self.providers)

    @property
    def figure_count(self) -> int:
        """How many figures the prices are made of: each tier of each price of each period and variant counts."""
        return sum(figures(model.prices) for provider in self.providers for model in provider.models)


class Source(Protocol):
    """A source of list prices."""

    name: str

    def read(self) -> Catalogue:
        """All that the source lists now. Raises SourceError when it cannot be read or used."""
        ...


def all_prices(prices: ModelPrices) -> Iterator[tuple[str, Price]]:
    """Every price of a model with its unit: of its periods and its variants."""
    for period in prices.periods:
        yield from period.prices.items()
    for variant in prices.variants:
        yield from variant.prices.items()


def figures(prices: ModelPrices) -> int:
    """How many figures a model's prices are made of."""
    return sum(1 + len(price.tiers) if isinstance(price, Tiered) else 1 for _, price in all_prices(prices))


def check(catalogue: Catalogue) -> None:
    """Refuse a catalogue that cannot become a price book. Raises SourceError."""
    if not catalogue.model_count:
        raise SourceError(f"{catalogue.source} {catalogue.source_version} lists no models: nothing was changed.")
    seen: set[str] = set()
    for provider in catalogue.providers:
        if provider.id in seen:
            raise SourceError(f"{catalogue.source} lists the provider {provider.id} twice: nothing was changed.")
        seen.add(provider.id)
        try:
            _check_provider(provider)
        except ValueError as error:
            raise SourceError(f"{catalogue.source}, provider {provider.id}: {error} Nothing was changed.") from error


def _check_provider(provider: ListedProvider) -> None:
    listed = {model.id for model in provider.models}
    if len(listed) != len(provider.models):
        raise ValueError("a model is listed twice.")
    for clause, model in provider.rules.rules:
        compiled(clause)
        if model not in listed:
            raise ValueError(f"a rule names the model {model!r}, which is not listed.")
    for wider in (provider.rules.model_match, provider.provider_match):
        if wider is not None:
            compiled(wider)
    for listed_model in provider.models:
        if not listed_model.prices.periods:
            raise ValueError(f"{listed_model.id} has no period of prices.")
        for unit, price in all_prices(listed_model.prices):
            _check_price(f"{listed_model.id}, {unit}", price)


def _check_price(what: str, price: Price) -> None:
    amounts = (price.base, *(amount for _, amount in price.tiers)) if isinstance(price, Tiered) else (price,)
    if not all(0 <= amount <= MAX_JSON_INTEGER for amount in amounts):
        raise ValueError(f"{what}: a price must be from 0 to {MAX_JSON_INTEGER:,} pico-USD per unit.")
    if isinstance(price, Tiered):
        starts = [start for start, _ in price.tiers]
        if not starts or starts != sorted(set(starts)) or starts[0] < 0:
            raise ValueError(f"{what}: tiers must begin at rising numbers of tokens.")
