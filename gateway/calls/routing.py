"""Where a call goes: to the model that it names, or to the one that was selected for the tier that it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gateway.apis.base import Api, Shape
from gateway.auth import Caller
from gateway.policies import Policies, PolicyUnreadable
from gateway.providers.base import Provider
from gateway.providers.registry import choose
from gateway.rules import Refusal
from gateway.selecting import may_use, select, tier_meant, wish_of
from wire.documents import Selected, routing_document
from wire.events import Denied
from wire.prices import PriceBook


class Route(NamedTuple):
    """A call's provider and model. `asked` is what events name: what the caller wrote, without our prefix."""

    name: str
    model: str
    provider: Provider | None  # None when it is not set up here, or does not speak the route's API
    asked: str
    tier: str
    selected: bool = False


class NoRoute(NamedTuple):
    """Why a call goes nowhere, what it asked for, and the rev of the selections that decided."""

    refusal: Refusal
    asked: str
    revs: dict[str, int] = {}


class Routes:
    """Finds routes by the documents in memory."""

    def __init__(self, policies: Policies, providers: Mapping[str, Provider]) -> None:
        self._policies = policies
        self._providers = providers

    def find(self, api: Api, model: str, tier: str, caller: Caller, book: PriceBook | None) -> Route | NoRoute:
        """The route of a call by its body's model ("" for none) and its header's tier ("" for none)."""
        policy = caller.policy
        wish = wish_of(model, tier, is_known=lambda name: self._is_known(api, name, book))
        if wish.problem:
            return NoRoute(Refusal(Denied.BODY_INVALID, wish.problem), wish.model)
        if not wish.tier:
            choice = choose(api, wish.model, self._providers, book)
            return Route(choice.name, choice.model, choice.provider, choice.model, policy.tier)
        meant = tier_meant(wish.tier, policy.tier)
        if not may_use(meant, policy.tier):
            message = f"This API key may use models up to the tier {policy.tier[:16]}, not {meant}."
            return NoRoute(Refusal(Denied.TIER_NOT_ALLOWED, message), wish.model)
        try:
            routing = self._policies.routing(policy.tenant)
        except PolicyUnreadable as error:
            message = f"The models that tiers stand for cannot be used: {error}"
            return NoRoute(Refusal(Denied.POLICY_UNAVAILABLE, message), wish.model)

        def is_listed(each: Selected) -> bool:
            listed = book is not None and book.find(each.provider, each.model) is not None
            return listed and self._speaks(api, each.provider) is not None

        selections = routing.selections if routing else ()
        chosen = select(selections, use=api.use, tier=meant, project=policy.project, is_listed=is_listed)
        if chosen is None:
            message = (
                f"No model is selected for the tier {meant} of {api.path}: select one on the page Models of tiers "
                "(/models/selection) of SpendOps, or name a model."
            )
            revs = {routing_document(policy.tenant): routing.rev} if routing else {}
            return NoRoute(Refusal(Denied.MODEL_NOT_SELECTED, message), wish.model, revs)
        provider = self._speaks(api, chosen.provider)
        return Route(chosen.provider, chosen.model, provider, wish.model, meant, selected=True)

    def _speaks(self, api: Api, name: str) -> Provider | None:
        provider = self._providers.get(name)
        if provider is None or (api.shape is Shape.ANTHROPIC and not provider.kind.serves_messages):
            return None
        return provider

    def _is_known(self, api: Api, name: str, book: PriceBook | None) -> bool:
        choice = choose(api, name, self._providers, book)
        return book is not None and book.find(choice.name, choice.model) is not None
