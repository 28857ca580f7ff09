"""The price book: list prices by provider and model, and the rules that find a model by the name a caller used.

The structures are the KV documents `pricing:blob` and `pricing:version` themselves. `PriceBook` is the reader: it
compiles the rules once and answers look-ups from a cache, so the hot path pays for a dictionary access.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

Clause = dict[str, Any]

# What a call's context can say: the keys of `PriceVariant.when` that `context_of` gives a value.
CONTEXT_KEYS = frozenset({"service_tier", "processing", "speed"})

_COMPACT_DATE = re.compile(r"(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
_LOOKUPS_KEPT = 20_000
_NAME_LONGEST = 512  # names come from callers and are kept: with this many look-ups the cache stays under 25 MB


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
        return _holds(self.start, self.hours, at)


class PriceVariant(msgspec.Struct, frozen=True, omit_defaults=True, rename={"start": "from"}):
    """Prices that replace some of a model's when the call's context says so (service tier, batch processing)."""

    when: dict[str, str]
    prices: dict[str, Price]
    start: date | None = None
    hours: tuple[time, time] | None = None
    until: date | None = None  # the first UTC day on which they hold no more: a later period only wins, it ends none

    def active(self, at: datetime) -> bool:
        """Whether these prices hold at a moment (aware, any zone)."""
        if self.until is not None and at.astimezone(UTC).date() >= self.until:
            return False
        return _holds(self.start, self.hours, at)


def _holds(start: date | None, hours: tuple[time, time] | None, at: datetime) -> bool:
    moment = at.astimezone(UTC)
    if start is not None and moment.date() < start:
        return False
    if hours is None:
        return True
    begin, end = hours
    now = moment.time()
    return begin <= now < end if begin <= end else now >= begin or now < end


class ModelPrices(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is known of one model's prices. The last period that is active holds; if none is, the first."""

    periods: tuple[PricePeriod, ...]
    variants: tuple[PriceVariant, ...] = ()
    deprecated: bool = False

    def at(self, moment: datetime, context: Mapping[str, str] | None = None) -> dict[str, Price]:
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
            if variant.active(moment) and all(context.get(k) == v for k, v in variant.when.items()):
                for unit, price in variant.prices.items():
                    overrides.setdefault(unit, price)
        return chosen.prices | overrides if overrides else chosen.prices


def tier_named(service_tier: str, speed: str) -> str:
    """What a usage event says as its `service_tier`: an answer's own, or "fast" for a speed that decides the price."""
    return speed if speed == "fast" else service_tier


def context_of(service_tier: str) -> dict[str, str]:
    """What a usage event's `service_tier` says about which price variants hold.

    It is the tier that the provider's answer names ("default", "priority", "flex" …), "batch" for batch processing and
    "fast" for Anthropic's fast mode, which its answers call a speed; "" when nothing was said.
    """
    if not service_tier:
        return {}
    if service_tier == "batch":
        return {"service_tier": service_tier, "processing": service_tier}
    if service_tier == "fast":
        return {"service_tier": service_tier, "speed": service_tier}
    return {"service_tier": service_tier}


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
    order: tuple[str, ...] = ()  # providers in the order in which `model_match` is asked: JSON objects have none


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
    borrowed: bool = False  # found by a fallback's rules

    @property
    def priced_as(self) -> str:
        """What a usage event names in `model_priced`: a fallback's model carries its provider, for ids may be equal."""
        return f"{self.provider}/{self.model}" if self.borrowed else self.model


def clause_matches(clause: Clause, text: str) -> bool:
    """Evaluate one match clause on a lower-case model name. Raises ValueError for a clause of an unknown kind."""
    return compiled(clause)(text)


def compiled(clause: Clause) -> Callable[[str], bool]:
    """A match clause as a function of a lower-case name. Raises ValueError when it is not a clause we know."""
    if len(clause) != 1:
        raise ValueError(f"{clause!r} is not a match clause: it must have exactly one kind.")
    kind, operand = next(iter(clause.items()))
    if kind in ("or", "and"):
        parts = tuple(compiled(part) for part in operand)
        if kind == "or":
            return lambda text: any(part(text) for part in parts)
        return lambda text: all(part(text) for part in parts)
    if not isinstance(operand, str):
        raise ValueError(f"{clause!r} is not a match clause: {kind} must be followed by a text.")
    if kind == "regex":
        try:
            search = re.compile(operand).search
        except re.error as error:
            raise ValueError(f"{operand!r} is not a regular expression: {error}.") from error
        return lambda text: search(text) is not None
    lowered = operand.lower()
    match kind:
        case "equals":
            return lambda text: text == lowered
        case "starts_with":
            return lambda text: text.startswith(lowered)
        case "ends_with":
            return lambda text: text.endswith(lowered)
        case "contains":
            return lambda text: lowered in text
    raise ValueError(f"{kind!r} is not a kind of match clause.")


class _Finder:
    """One provider's rules, with those that are plain equality in a dictionary. The order of rules is kept."""

    def __init__(self, rules: tuple[tuple[Clause, str], ...]) -> None:
        self.exact: dict[str, tuple[int, str]] = {}
        self.other: list[tuple[int, Callable[[str], bool], str]] = []
        for order, (clause, model) in enumerate(rules):
            for part in clause.get("or", [clause]):
                if "equals" in part:
                    self.exact.setdefault(part["equals"].lower(), (order, model))
                else:
                    self.other.append((order, compiled(part), model))

    def find(self, name: str) -> str | None:
        found = self.exact.get(name)
        for order, matches, model in self.other:
            if found is not None and order > found[0]:
                break
            if matches(name):
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
        self._claims = [
            (provider, compiled(rules.model_match))
            for provider in blob.order or blob.providers
            if (rules := blob.providers[provider]).model_match is not None
        ]
        # only names of a bounded length reach the caches
        self._find_cached = lru_cache(maxsize=_LOOKUPS_KEPT)(self._find)
        self._provider_of_cached = lru_cache(maxsize=_LOOKUPS_KEPT)(self._provider_of)

    def find(self, provider: str, name: str) -> Match | None:
        """The model that a provider means by a name, by the catalogue's rules in their order; None when unpriced."""
        return self._find_cached(provider, name) if len(name) <= _NAME_LONGEST else None

    def provider_of(self, name: str) -> str | None:
        """The provider whose models are named like this, in the catalogue's order; None when none claims it."""
        return self._provider_of_cached(name) if len(name) <= _NAME_LONGEST else None

    def _find(self, provider: str, name: str) -> Match | None:
        if provider not in self._finders:
            return None
        lowered = name.lower()
        for candidate in dict.fromkeys((lowered, _dashed(lowered))):
            for owner in (provider, *self.blob.providers[provider].fallbacks):
                finder = self._finders.get(owner)
                model = finder.find(candidate) if finder else None
                if model is None:
                    continue
                prices = self.blob.models[owner][model]
                if owner == provider:
                    return Match(owner, model, prices)
                return Match(owner, model, list_prices_only(prices), borrowed=True)
        return None

    def _provider_of(self, name: str) -> str | None:
        lowered = name.lower()
        return next((provider for provider, matches in self._claims if matches(lowered)), None)

    def __len__(self) -> int:
        return sum(len(models) for models in self.blob.models.values())


def list_prices_only(prices: ModelPrices) -> ModelPrices:
    """Prices that another provider borrows: what the owner charges for its own tiers says nothing about theirs."""
    return ModelPrices(prices.periods, deprecated=prices.deprecated) if prices.variants else prices
