"""What an event costs by a price book, at its own time: the same arithmetic as the gateway's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from spend.queries.rerating import PastEvent, Rated
from wire.cost import cost_of
from wire.overrides import Overrides, charge_of
from wire.prices import Match, PriceBook, context_of, list_prices_only

_DECISIONS_KEPT = 20_000


class Rater:
    """Prices events by one price book. `past` gives earlier books, None for one that never was."""

    def __init__(self, book: PriceBook, past: Callable[[int], PriceBook | None]) -> None:
        self.version = book.version
        self._book = book
        self._past = past
        self.match = lru_cache(maxsize=_DECISIONS_KEPT)(self._decide)

    def rate(self, event: PastEvent, overrides: Overrides) -> tuple[Rated, Rated]:
        """What an event costs and is charged as it stands, and by the book.

        A call that has a price and would lose it, because the book does not know its model any more, keeps what it has.
        """
        match = self.match(event.provider, event.model_asked, event.model_priced, event.price_version)
        listed = None
        if match is not None:
            moment = datetime.fromtimestamp(event.arrived_ms / 1000, UTC)
            listed = match.prices.at(moment, context_of(event.service_tier))
        cost = 0 if not event.units else None if listed is None else cost_of(event.units, listed).total
        priced = match.priced_as if match is not None else ""
        rule = overrides.rule_for(
            provider=event.provider, model=priced or event.model_asked, project=event.project, at_ms=event.arrived_ms
        )
        before, after = event.rated, Rated(cost, charge_of(event.units, listed, rule, cost=cost), priced)
        lost = (was is not None and now is None for was, now in zip(before[:2], after[:2], strict=True))
        return before, before if (event.model_priced and not priced) or any(lost) else after

    def _decide(self, provider: str, asked: str, priced: str, version: int) -> Match | None:
        """The model in our book. A gateway looks a call up by the name that was asked for or, for a call that it led
        elsewhere, by the one that answered, which events do not hold: the model that it was priced as stands for that.
        """
        found = self._book.find(provider, asked)
        if not priced or (found is not None and found.priced_as == priced):
            return found
        return found if self._named(provider, asked, version) == priced else self._known(provider, priced)

    def _named(self, provider: str, asked: str, version: int) -> str | None:
        """The model that the asked name meant when the call was made."""
        book = self._past(version)
        match = book.find(provider, asked) if book is not None else None
        return match.priced_as if match is not None else None

    def _known(self, provider: str, priced: str) -> Match | None:
        """A model by its very id, as `Match.priced_as` writes it."""
        models = self._book.blob.models
        if priced in models.get(provider, {}):
            return Match(provider, priced, models[provider][priced])
        owner, _, model = priced.partition("/")
        rules = self._book.blob.providers.get(provider)
        if rules is not None and owner in rules.fallbacks and model in models.get(owner, {}):
            return Match(owner, model, list_prices_only(models[owner][model]), borrowed=True)
        return None
