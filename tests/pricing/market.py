"""The whole real catalogue with a past and with things that wait: what pages of prices are looked at with."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from pathlib import Path

import msgspec

from changes.actor import Actor
from pricing.actions.by_hand import add_hand_price
from pricing.actions.crosscheck import cross_check
from pricing.actions.sync import sync_prices
from pricing.models import PriceSync
from pricing.rates.actions import sync_rates
from pricing.rates.bundled import Bundled
from pricing.sources.base import Catalogue, ListedModel, SourceError
from tests.pricing.conftest import SYNC, Given
from wire.prices import ModelPrices, PricePeriod

TABLE = Path(__file__).parent / "model_prices.json"


def with_models(of: Catalogue, provider: str, *models: ListedModel, without: str = "") -> Catalogue:
    """The catalogue with some models of a provider replaced or added, and one left out."""
    replaced = {model.id: model for model in models}
    providers = []
    for each in of.providers:
        if each.id == provider:
            kept = [replaced.pop(model.id, model) for model in each.models if model.id != without]
            rules = (
                *(({"equals": name}, name) for name in replaced),
                *(rule for rule in each.rules.rules if rule[1] != without),
            )
            each = msgspec.structs.replace(
                each,
                models=(*kept, *replaced.values()),
                rules=msgspec.structs.replace(each.rules, rules=tuple(rules)),
            )
        providers.append(each)
    return msgspec.structs.replace(of, providers=tuple(providers))


def priced(name: str, *periods: tuple[date | None, dict[str, int]], **facts: object) -> ListedModel:
    """A model with its periods of prices, in pico-USD per unit."""
    spans = tuple(PricePeriod(prices, start) for start, prices in periods)
    return ListedModel(id=name, name=name, prices=ModelPrices(spans), **facts)  # type: ignore[arg-type]


def eventful(catalogue: Catalogue, *, by: Actor = SYNC) -> PriceSync:
    """Price books, a failed sync, prices by hand, rates, a cross-check; and the change set that is returned."""
    steps = (
        (None, {"input": 5_000_000, "output": 15_000_000, "cache_read": 2_500_000}),
        (date(2025, 3, 1), {"input": 3_750_000, "output": 15_000_000, "cache_read": 1_875_000}),
        (date(2026, 1, 15), {"input": 2_500_000, "output": 10_000_000, "cache_read": 1_250_000}),
    )
    facts = {"context_window": 128_000, "output_most": 16_384, "capabilities": ("tools", "vision")}
    held = with_models(catalogue, "openai", priced("gpt-4o", *steps, **facts))
    sync_prices(Given(held), by=SYNC)
    with suppress(SourceError):
        sync_prices(Given(SourceError("genai-prices lists no models: nothing was changed.")), by=SYNC)
    add_hand_price(
        provider="our-own",
        model="house-llm-7b",
        prices={"input": 150_000, "output": 450_000},
        starts=date(2026, 6, 1),
        source_url="https://wiki.example.com/house-llm",
        note="What the cluster costs, by finance.",
        by=by,
    )
    add_hand_price(
        provider="our-own",
        model="drawing-1",
        prices={"images": 40_000_000_000},
        starts=date(2025, 6, 1),
        ends=date(2026, 6, 1),
        by=by,
    )
    cross_check(content=TABLE.read_bytes(), table="model_prices_and_context_window.json", by=SYNC)
    sync_rates([Bundled()], by=SYNC)
    dearer = (None, {"input": 4_000_000, "output": 10_500_000, "cache_read": 1_250_000})
    cheaper = (None, {"input": 100_000, "output": 400_000, "cache_read": 25_000})
    proposed = with_models(held, "openai", priced("gpt-4o", dearer, **facts), priced("gpt-4o-mini", cheaper))
    proposed = with_models(proposed, "openai", priced("gpt-next", cheaper), without="davinci-002")
    waiting = sync_prices(Given(proposed), by=SYNC).waiting
    assert waiting is not None
    return waiting
