"""The price book as the document that gateways read."""

from __future__ import annotations

import msgspec

from pricing.models import MatchRules, ModelPrice, PriceBook
from pricing.queries import current_book, held_in
from wire.documents import SCHEMA
from wire.prices import ModelPrices, PricingBlob, ProviderRules


class NoPricesError(LookupError):
    """There is no such price book: prices were never synced, or not so often."""


def pricing_blob(*, env: str, rev: int, version: int | None = None) -> PricingBlob:
    """All prices of a version (the current one unless said), the same bytes whenever it is rendered.

    Raises NoPricesError when there is no such version.
    """
    book = _book(version)
    models: dict[str, dict[str, ModelPrices]] = {}
    prices = ModelPrice.objects.filter(held_in(book.version)).values_list(
        "model__provider", "model__model_id", "prices"
    )
    for provider, model_id, found in prices:
        models.setdefault(provider, {})[model_id] = msgspec.convert(found, ModelPrices)
    providers: dict[str, ProviderRules] = {}
    rules = MatchRules.objects.filter(held_in(book.version)).order_by("position").values_list("provider", "rules")
    for provider, found in rules:
        providers[provider] = msgspec.convert(found, ProviderRules)
        models.setdefault(provider, {})
    blob = PricingBlob(
        schema=SCHEMA,
        rev=rev,
        env=env,
        version=book.version,
        source=f"{book.source} {book.source_version}".strip(),
        models=models,
        providers=providers,
        order=tuple(providers),
    )
    return _in_order(blob)


def _book(version: int | None) -> PriceBook:
    book = current_book() if version is None else PriceBook.objects.filter(version=version).first()
    if book is None:
        missing = "no price book yet" if version is None else f"no price book {version}"
        raise NoPricesError(f"There is {missing}: run manage.py sync_prices.")
    return book


def _in_order(blob: PricingBlob) -> PricingBlob:
    """The blob with its objects' names sorted: SQL engines keep the order of JSON objects as they like."""
    return msgspec.json.decode(msgspec.json.encode(blob, order="deterministic"), type=PricingBlob)
