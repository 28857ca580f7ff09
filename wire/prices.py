"""The price book: list prices by provider and model, and the rules that find a model by the name a caller used.

The structures are the KV documents `pricing:blob` and `pricing:version` themselves. `PriceBook` is the reader: it
compiles the rules once and answers look-ups from a cache, so the hot path pays for a dictionary access.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

Clause = dict[str, Any]

_COMPACT_DATE = re.compile(r"(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
_LOOKUPS_KEPT = 20_000


class Tiered(msgspec.Struct, frozen=True, omit_defaults=True):
    """A price that depends on how long the context is: above a start, that tier's price holds for *all* units."""

    base: int
    tiers: tuple[tuple[int, int], ...]  # (tokens of input above which it holds, pico-USD per unit), ascending

    def at(self, context_tokens: int) -> int:
        """The price for a call with so many input tokens, cached ones included."""
        for start, price in reversed(self.tiers):
            if context_tokens > start:
                return price
        return self.base


Price = int | Tiered


class PricePeriod(msgspec.Struct, frozen=True, omit_defaults=True, rename={"start": "from"}):
    """Prices and when they hold: from a UTC day, within hours of the UTC day, both, or always."""

    prices: dict[str, Price]  # unit name -> pico-USD per unit
    start: date | None = None
    hours: tuple[time, time] | None = None

    def active(self, at: datetime) -> bool:
        """Whether these prices hold at a moment (aware, any zone). An interval of hours may cross midnight."""
        moment = at.astimezone(UTC)
        if self.start is not None and moment.date() < self.start:
            return False
        if self.hours is None:
            return True
        begin, end = self.hours
        now = moment.time()
        return begin <= now < end if begin <= end else now >= begin or now < end


class PriceVariant(msgspec.Struct, frozen=True, omit_defaults=True, rename={"start": "from"}):
    """Prices that replace some of a model's when the call's context says so (service tier, batch processing)."""

    when: dict[str, str]
    prices: dict[str, Price]
    start: date | None = None
    hours: tuple[time, time] | None = None


class ModelPrices(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is known of one model's prices. The last period that is active holds; if none is, the first."""

    periods: tuple[PricePeriod, ...]
    variants: tuple[PriceVariant, ...] = ()
    deprecated: bool = False

    def at(self, moment: datetime, context: dict[str, str] | None = None) -> dict[str, Price]:
        """The prices by unit that hold at a moment. Variants apply first to last, each unit by its first match."""
        chosen = self.periods[0]
        for period in reversed(self.periods):
            if period.active(moment):
                chosen = period
                break
        if not context or not self.variants:
            return chosen.prices
        overrides: dict[str, Price] = {}
        for variant in self.variants:
            span = PricePeriod(variant.prices, variant.start, variant.hours)
            if span.active(moment) and all(context.get(k) == v for k, v in variant.when.items()):
                for unit, price in variant.prices.items():
                    overrides.setdefault(unit, price)
        return chosen.prices | overrides if overrides else chosen.prices


class ProviderRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a provider's models are found: ordered rules, then one step to other providers' rules."""

    rules: tuple[tuple[Clause, str], ...]  # (clause, model id): the first that matches wins
    model_match: Clause | None = None  # says which models of unknown provider are this one's
    fallbacks: tuple[str, ...] = ()


class PricingBlob(msgspec.Struct, frozen=True, omit_defaults=True):
    """The KV document `pricing:blob`. Written before `pricing:version`, which names the same version."""

    schema: int
    rev: int
    env: str
    version: int
    source: str
    models: dict[str, dict[str, ModelPrices]]  # provider -> model id -> prices
    providers: dict[str, ProviderRules]


class PricingVersion(msgspec.Struct, frozen=True):
    """The KV document `pricing:version`: readers keep the blob they have until they see a blob at least this new."""

    schema: int
    rev: int
    env: str
    version: int


class Match(NamedTuple):
    """A model found in the book. `provider` is the one whose prices apply, which may be a fallback's."""

    provider: str
    model: str
    prices: ModelPrices


def clause_matches(clause: Clause, text: str) -> bool:
    """Evaluate one match clause on a lower-case model name. Raises ValueError for a clause of an unknown kind."""
    kind, operand = next(iter(clause.items()))
    match kind:
        case "equals":
            return text == operand.lower()
        case "starts_with":
            return text.startswith(operand.lower())
        case "ends_with":
            return text.endswith(operand.lower())
        case "contains":
            return operand.lower() in text
        case "regex":
            return re.search(operand, text) is not None
        case "or":
            return any(clause_matches(part, text) for part in operand)
        case "and":
            return all(clause_matches(part, text) for part in operand)
    raise ValueError(f"{kind!r} is not a kind of match clause.")


class _Finder:
    """One provider's rules, with those that are plain equality in a dictionary. The order of rules is kept."""

    def __init__(self, rules: tuple[tuple[Clause, str], ...]) -> None:
        self.exact: dict[str, tuple[int, str]] = {}
        self.other: list[tuple[int, Clause, str]] = []
        for order, (clause, model) in enumerate(rules):
            for part in clause.get("or", [clause]):
                if "equals" in part:
                    self.exact.setdefault(part["equals"].lower(), (order, model))
                else:
                    self.other.append((order, part, model))

    def find(self, name: str) -> str | None:
        found = self.exact.get(name)
        for order, clause, model in self.other:
            if found is not None and order > found[0]:
                break
            if clause_matches(clause, name):
                return model
        return found[1] if found else None


def _dashed(name: str) -> str:
    """Some clients write `gpt-5.2-20251211` where price lists write `gpt-5.2-2025-12-11`."""

    def dash(match: re.Match[str]) -> str:
        year, month, day = (int(match.group(n)) for n in (2, 3, 4))
        try:
            date(year, month, day)
        except ValueError:
            return match.group(0)
        return f"-{year:04d}-{month:02d}-{day:02d}"

    return _COMPACT_DATE.sub(dash, name)


class PriceBook:
    """Finds models in a price book. Safe to share between threads; never changes after it is made."""

    def __init__(self, blob: PricingBlob) -> None:
        self.blob = blob
        self.version = blob.version
        self._finders = {provider: _Finder(rules.rules) for provider, rules in blob.providers.items()}
        self.find = lru_cache(maxsize=_LOOKUPS_KEPT)(self._find)
        self.provider_of = lru_cache(maxsize=_LOOKUPS_KEPT)(self._provider_of)

    def _find(self, provider: str, name: str) -> Match | None:
        """The model that a provider means by a name, by the catalogue's rules in their order; None when unpriced."""
        lowered = name.lower()
        for candidate in dict.fromkeys((lowered, _dashed(lowered))):
            own = self._finders.get(provider)
            if own is None:
                return None
            for owner in (provider, *self.blob.providers[provider].fallbacks):
                finder = self._finders.get(owner)
                model = finder.find(candidate) if finder else None
                if model is not None:
                    return Match(owner, model, self.blob.models[owner][model])
        return None

    def _provider_of(self, name: str) -> str | None:
        """The provider whose models are named like this, in the catalogue's order; None when none claims it."""
        lowered = name.lower()
        for provider, rules in self.blob.providers.items():
            if rules.model_match is not None and clause_matches(rules.model_match, lowered):
                return provider
        return None

    def __len__(self) -> int:
        return sum(len(models) for models in self.blob.models.values())
