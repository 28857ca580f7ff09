"""The names that an override may mean: providers and models of the catalogue, and what is near to one that is not."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property

from pricing.models import MatchRules, Model, Provider
from pricing.override_rules import InvalidOverrideError, has_wildcard
from pricing.render import NoPricesError, pricing_blob
from wire.overrides import fits
from wire.prices import PriceBook

_NEAREST_MOST = 3
_LOOKED_FOR_MOST = 100  # comparing a name with thousands takes a while: of a long list the first are helped


class CatalogueNames:
    """The catalogue's names as calls are priced by them, read once.

    A model whose price is borrowed is called by its owner and its name there ("openai/gpt-4o" at azure), as usage
    events call it.
    """

    def __init__(self) -> None:
        self._providers = {each.lower(): each for each in Provider.objects.values_list("id", flat=True)}
        own: dict[str, dict[str, str]] = {each: {} for each in self._providers}
        for provider, model in Model.objects.values_list("provider_id", "model_id"):
            own[provider.lower()][model.lower()] = model
        self._models = {provider: dict(models) for provider, models in own.items()}
        for row in MatchRules.objects.filter(last_version=None):
            for owner in row.decoded().fallbacks:
                borrowed = {f"{owner}/{model}".lower(): f"{owner}/{model}" for model in own.get(owner, {}).values()}
                self._models[row.provider_id.lower()] |= borrowed
        self._looked_for: dict[tuple[str, str], str] = {}

    def checked(self, provider: str, model: str) -> tuple[str, str]:
        """The names as the catalogue writes them; what has a wildcard as it is.

        Raises InvalidOverrideError, with the nearest names, for one that the catalogue does not have: such an override
        would never apply.
        """
        if not has_wildcard(provider):
            if provider.lower() not in self._providers:
                near = self._near(provider, list(self._providers.values()))
                raise InvalidOverrideError(
                    f"The catalogue has no provider {provider!r}{near} Write * for all providers.", field="provider"
                )
            provider = self._providers[provider.lower()]
        if has_wildcard(model):
            return provider, model
        of_provider = fits(provider)
        found = {
            name[model.lower()] for each, name in self._models.items() if of_provider(each) and model.lower() in name
        }
        if not found:
            raise InvalidOverrideError(self._unknown_model(provider, model), field="model")
        return provider, min(found)

    def fitting(self, provider: str, model: str) -> list[tuple[str, str]]:
        """The catalogue's models that a pair of patterns means today, as (provider, model)."""
        of_provider, of_model = fits(provider), fits(model)
        return [
            (self._providers[each], name)
            for each, models in self._models.items()
            if of_provider(each)
            for lowered, name in models.items()
            if of_model(lowered)
        ]

    def _unknown_model(self, provider: str, model: str) -> str:
        key = provider, model.lower()
        if key not in self._looked_for:
            of_provider = fits(provider)
            names = {name for each, models in self._models.items() if of_provider(each) for name in models.values()}
            priced = self._priced_as(provider, model)
            near = f": calls of it are priced as {priced}." if priced else self._near(model, sorted(names))
            of = "" if has_wildcard(provider) else f" of {provider}"
            self._looked_for[key] = (
                f"The catalogue has no model {model[:80]!r}{of}{near} "
                "For models that it does not have, write part of the name with * for the rest."
            )
        return self._looked_for[key]

    def _priced_as(self, provider: str, model: str) -> str:
        book = self._book
        match = book.find(provider, model) if book is not None and not has_wildcard(provider) else None
        return match.priced_as if match else ""

    def _near(self, name: str, names: list[str]) -> str:
        if len(self._looked_for) >= _LOOKED_FOR_MOST:
            return "."
        by_lowered = {each.lower(): each for each in names}
        near = [by_lowered[each] for each in get_close_matches(name.lower(), by_lowered, _NEAREST_MOST, 0.5)]
        return f". The nearest: {', '.join(near)}." if near else "."

    @cached_property
    def _book(self) -> PriceBook | None:
        try:
            return PriceBook(pricing_blob(env="", rev=0))
        except NoPricesError:
            return None
