"""Small catalogues for tests, and the ways in which they change."""

from __future__ import annotations

from typing import Any

import msgspec

from pricing.sources.base import Catalogue, ListedModel, ListedProvider, Report, Rounded
from wire.prices import ModelPrices, PricePeriod, PriceVariant, ProviderRules, Tiered

PAGE = "https://acme.example/pricing"


def listed(model_id: str, *, variants: tuple[PriceVariant, ...] = (), **prices: int | Tiered) -> ListedModel:
    """A model with one period of prices, in pico-USD per unit."""
    return ListedModel(id=model_id, name=model_id.title(), prices=ModelPrices((PricePeriod(dict(prices)),), variants))


def provider(name: str, *models: ListedModel, fallbacks: tuple[str, ...] = ()) -> ListedProvider:
    """A provider whose models are found by exactly their ids."""
    rules = ProviderRules(tuple(({"equals": model.id}, model.id) for model in models), fallbacks=fallbacks)
    return ListedProvider(id=name, name=name.title(), pricing_urls=(PAGE,), rules=rules, models=models)


def catalogue(*providers: ListedProvider, version: str = "1") -> Catalogue:
    report = Report(rounded=(Rounded(provider="acme", model="small", unit="input", said="1 USD for 3", kept=3),))
    return Catalogue(source="given", source_version=version, providers=providers, report=report)


def acme(count: int = 20, **changed: Any) -> Catalogue:
    """Twenty models of Acme; `changed` replaces prices of the first, which is called "small"."""
    prices = {"input": 150_000, "output": 600_000} | changed
    models = [listed("small", **prices), *(listed(f"model-{n}", input=n, output=2 * n) for n in range(1, count))]
    return catalogue(provider("acme", *models))


def with_model(of: Catalogue, **fields: Any) -> Catalogue:
    """The catalogue with fields of its first model replaced."""
    first = of.providers[0]
    models = (msgspec.structs.replace(first.models[0], **fields), *first.models[1:])
    return msgspec.structs.replace(of, providers=(msgspec.structs.replace(first, models=models), *of.providers[1:]))
