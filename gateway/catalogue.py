"""GET /v1/models: the priced models that a key may use, in OpenAI's list shape or in Anthropic's.

At the end stand the tiers that lead the key to a model, so that clients which offer only what is listed offer them
too. At the end, because some clients take the first of the list when nobody chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, time
from typing import Any, NamedTuple

import msgspec

from gateway.apis.base import Api, Shape
from gateway.auth import Caller
from gateway.calls.routing import Route, Routes
from gateway.providers.base import Provider
from gateway.rules import Asked, model_refusal
from wire.documents import TIERS, KeyPolicy
from wire.prices import ModelPrices, PriceBook

OURS = "spendops"  # whose the tiers are


class Listed(NamedTuple):
    """One model, under the name that a caller may ask for it by."""

    name: str
    provider: str
    since: int  # Unix time of its first known price, 0 when that is not dated


def models_for(
    policy: KeyPolicy, book: PriceBook | None, providers: Mapping[str, Provider], shape: Shape
) -> list[Listed]:
    """The models of configured providers that have a price and that the key's lists allow."""
    return [model for model in _all(book, providers, shape) if _allows(policy, model)] if book is not None else []


def tiers_for(
    caller: Caller, routes: Routes, apis: Iterable[Api], book: PriceBook | None, shape: Shape
) -> list[Listed]:
    """The tiers that a caller may ask for by name and that lead to a model, in one of the calls of the list's shape."""
    fitting = [api for api in apis if api.shape is shape]
    return [Listed(tier, OURS, 0) for tier in TIERS if any(_leads(caller, routes, api, tier, book) for api in fitting)]


def openai_list(models: list[Listed]) -> bytes:
    """The list as OpenAI's `GET /v1/models` answers it."""
    data = [{"id": m.name, "object": "model", "created": m.since, "owned_by": m.provider} for m in models]
    return msgspec.json.encode({"object": "list", "data": data})


def anthropic_list(models: list[Listed]) -> bytes:
    """The list as Anthropic's `GET /v1/models` answers it, on one page."""
    data: list[dict[str, Any]] = [
        {
            "type": "model",
            "id": model.name,
            "display_name": model.name,
            "created_at": datetime.fromtimestamp(model.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        for model in models
    ]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return msgspec.json.encode({"data": data, "has_more": False, "first_id": first, "last_id": last})


def _all(book: PriceBook, providers: Mapping[str, Provider], shape: Shape) -> Iterator[Listed]:
    for name, provider in providers.items():
        if shape is Shape.ANTHROPIC and not provider.kind.serves_messages:
            continue
        for model, prices in book.blob.models.get(name, {}).items():
            if prices.deprecated:
                continue
            # A name that leads elsewhere without a prefix is listed with it.
            reached = shape is Shape.ANTHROPIC or (book.provider_of(model) or "openai") == name
            yield Listed(model if reached else f"{name}/{model}", name, _since(prices))


def _leads(caller: Caller, routes: Routes, api: Api, tier: str, book: PriceBook | None) -> bool:
    route = routes.find(api, tier, "", caller, book)
    if not isinstance(route, Route) or not route.selected or route.provider is None:
        return False
    return model_refusal(caller.policy, Asked(route.name, route.model)) is None


def _allows(policy: KeyPolicy, model: Listed) -> bool:
    own_name = model.name.removeprefix(f"{model.provider}/")
    return model_refusal(policy, Asked(model.provider, own_name)) is None


def _since(prices: ModelPrices) -> int:
    start = min((period.start for period in prices.periods if period.start), default=None)
    return int(datetime.combine(start, time(), UTC).timestamp()) if start else 0
