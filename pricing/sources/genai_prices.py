"""List prices from the catalogue that the `genai-prices` package bundles; its updater asks the network and is not used.

Its units are inclusive (cached tokens are part of input tokens), ours are disjoint; the prices are the same. Its prices
are exact decimals of USD for a number of units (a million tokens, an hour): dividing by that number is where a price
of ours may be rounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pricing.sources.base import Catalogue, ListedModel, ListedProvider, Report, Rounded, SourceError, Unexpressed
from wire.money import MoneyError, pico_per_unit
from wire.prices import CONTEXT_KEYS, Clause, ModelPrices, Price, PricePeriod, PriceVariant, ProviderRules, Tiered

if TYPE_CHECKING:
    from genai_prices import types

NAME = "genai-prices"
_FREE = PricePeriod({"input": 0, "output": 0})
_MODALITIES = ("text", "audio", "image", "video")


def _price_keys() -> dict[str, tuple[str, int]]:
    """The source's price keys: our unit, and how many of it the price is for."""
    million = {
        "input": "input",
        "output": "output",
        "cache_read": "cache_read",
        "cache_write": "cache_write",
        "cache_write_5m": "cache_write_5m",
        "cache_write_1h": "cache_write_1h",
        "input_tool": "tool_in",
        "output_reasoning": "reasoning",
        "output_citation": "citation",
    }
    for modality in _MODALITIES:
        million |= {
            f"input_{modality}": f"{modality}_in",
            f"output_{modality}": f"{modality}_out",
            f"cache_{modality}_read": f"{modality}_cache_read",
            f"cache_{modality}_write": f"{modality}_cache_write",
            f"cache_{modality}_write_5m": f"{modality}_cache_write_5m",
            f"cache_{modality}_write_1h": f"{modality}_cache_write_1h",
            f"input_{modality}_tool": f"{modality}_tool_in",
            f"output_{modality}_reasoning": f"{modality}_reasoning",
            f"output_{modality}_citation": f"{modality}_citation",
        }
    return {f"{theirs}_mtok": (ours, 10**6) for theirs, ours in million.items()} | {
        "input_mchars": ("characters_in", 10**6),
        "input_text_messages_kcount": ("messages_in", 1000),
        "audio_hours": ("audio_seconds", 3600),
        "input_audio_hours": ("audio_in_seconds", 3600),
        "output_audio_hours": ("audio_out_seconds", 3600),
        "input_gpixels": ("pixels_in", 10**9),
        "input_document_kpages": ("pages_in", 1000),
        "input_annotated_document_kpages": ("annotated_pages_in", 1000),
        "rerank_searches_kcount": ("rerank_searches", 1000),
        "web_searches_kcount": ("web_searches", 1000),
        "social_searches_kcount": ("social_searches", 1000),
        "storage_searches_kcount": ("storage_searches", 1000),
        "code_executions_kcount": ("code_executions", 1000),
        "requests_kcount": ("requests", 1000),
    }


PRICE_KEYS = _price_keys()

# What the package says in code and not in its data.
_HARD_CODED = {
    (
        "groq",
        "whisper-large-v3",
    ): "Groq bills at least 10 seconds of audio a call; shorter audio is priced by its seconds.",
    ("groq", "whisper-large-v3-turbo"): (
        "Groq bills at least 10 seconds of audio a call; shorter audio is priced by its seconds."
    ),
}


class GenaiPrices:
    """The bundled catalogue."""

    name = NAME

    def read(self) -> Catalogue:
        """The catalogue of the installed release. Raises SourceError when it cannot be read."""
        # a megabyte and a half of literals: only those who sync pay for it
        from genai_prices.data import providers

        return catalogue_of(providers, version(NAME))


def catalogue_of(providers: Iterable[types.Provider], source_version: str) -> Catalogue:
    """The package's providers in our form. Raises SourceError for what is not a price or a rule."""
    reader = _Reader()
    try:
        listed = tuple(reader.provider(provider) for provider in providers)
    except (MoneyError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise SourceError(f"{NAME} {source_version} could not be read at {reader.where}: {error}") from error
    report = Report(rounded=tuple(reader.rounded), unexpressed=tuple(reader.unexpressed))
    return Catalogue(source=NAME, source_version=source_version, providers=listed, report=report)


class _Reader:
    """Reads providers and collects what did not fit."""

    def __init__(self) -> None:
        self.rounded: list[Rounded] = []
        self.unexpressed: list[Unexpressed] = []
        self._provider = ""
        self._model = ""

    @property
    def where(self) -> str:
        return f"{self._provider}/{self._model}" if self._model else self._provider or "its beginning"

    def provider(self, given: types.Provider) -> ListedProvider:
        self._provider, self._model = given.id, ""
        if given.extractors:
            flavors = ", ".join(extractor.api_flavor for extractor in given.extractors)
            self._note(f"Rules for reading usage out of answers ({flavors}): the gateway reads usage itself.")
        rules = ProviderRules(
            rules=tuple((_clause(model.match), model.id) for model in given.models),
            model_match=_clause(given.model_match) if given.model_match else None,
            fallbacks=tuple(given.fallback_model_providers or ()),
        )
        return ListedProvider(
            id=given.id,
            name=given.name,
            description=given.description or "",
            note=given.price_comments or "",
            pricing_urls=tuple(given.pricing_urls or ()),
            api_pattern=given.api_pattern,
            provider_match=_clause(given.provider_match) if given.provider_match else None,
            rules=rules,
            models=tuple(self._listed(model) for model in given.models),
        )

    def _listed(self, given: types.ModelInfo) -> ListedModel:
        self._model = given.id
        if (self._provider, given.id) in _HARD_CODED:
            self._note(_HARD_CODED[self._provider, given.id])
        return ListedModel(
            id=given.id,
            name=given.name or "",
            description=given.description or "",
            note=given.price_comments or "",
            context_window=given.context_window,
            aliases=_aliases(given),
            prices=self._model_prices(given),
        )

    def _model_prices(self, given: types.ModelInfo) -> ModelPrices:
        if isinstance(given.prices, list):
            periods = tuple(self._period(conditional) for conditional in given.prices)
        else:
            periods = (PricePeriod(self._prices(given.prices)),)
        variants = tuple(self._variant(variant) for variant in given.price_variants or ())
        if not any(period.prices for period in periods):
            if given.id.endswith(":free"):
                periods = (_FREE,)
            else:
                self._note("Listed without any price, and not as free: calls stay unpriced.")
        return ModelPrices(periods, variants, deprecated=bool(given.deprecated))

    def _period(self, given: types.ConditionalPrice) -> PricePeriod:
        start, hours = _span(given.constraint)
        return PricePeriod(self._prices(given.prices), start, hours)

    def _variant(self, given: types.PriceVariant) -> PriceVariant:
        unknown = sorted(given.when.keys() - CONTEXT_KEYS)
        if unknown:
            said = ", ".join(f"{key} = {given.when[key]}" for key in unknown)
            self._note(f"Prices that hold when {said}: the gateway cannot tell that of a call.")
        start, hours = _span(given.constraint)
        return PriceVariant(dict(sorted(given.when.items())), self._prices(given.prices), start, hours)

    def _prices(self, given: types.ModelPrice) -> dict[str, Price]:
        prices: dict[str, Price] = {}
        for key, value in vars(given).items():
            if value is None:
                continue
            if key not in PRICE_KEYS:
                self._note(f"A price for {key}, a unit that is not known here.")
                continue
            unit, per = PRICE_KEYS[key]
            if isinstance(value, Decimal):
                prices[unit] = self._pico(unit, value, per)
            else:
                tiers = tuple((tier.start, self._pico(unit, tier.price, per)) for tier in value.tiers)
                prices[unit] = Tiered(self._pico(unit, value.base, per), tiers)
        return dict(sorted(prices.items()))

    def _pico(self, unit: str, amount: Decimal, per: int) -> int:
        pico, was_rounded = pico_per_unit(amount, per)
        if was_rounded:
            said = f"{amount} USD for {per:,}"
            self.rounded.append(Rounded(provider=self._provider, model=self._model, unit=unit, said=said, kept=pico))
        return pico

    def _note(self, what: str) -> None:
        self.unexpressed.append(Unexpressed(provider=self._provider, model=self._model, what=what))


def _aliases(given: types.ModelInfo) -> tuple[str, ...]:
    """The other names that are spelled out in a model's rule; those by pattern are not."""
    clause = _clause(given.match)
    names = {part["equals"] for part in clause.get("or", [clause]) if "equals" in part}
    return tuple(sorted(name for name in names if name.lower() != given.id.lower()))


def _span(constraint: Any) -> tuple[date | None, tuple[time, time] | None]:
    """When a price holds: from a UTC day, or within hours of the UTC day."""
    if constraint is None:
        return None, None
    if hasattr(constraint, "start_date"):
        return constraint.start_date, None
    return None, (_utc(constraint.start_time), _utc(constraint.end_time))


def _utc(value: time) -> time:
    """A time of day in UTC, without its zone: that of our price periods. Times without a zone are UTC already."""
    if value.tzinfo is None:
        return value
    return datetime.combine(date(1970, 1, 1), value).astimezone(UTC).time()


def _clause(given: Any) -> Clause:
    """A match clause as JSON: {"starts_with": "gpt-4o"}, {"or": [...]} …"""
    ((kind, operand),) = vars(given).items()
    if kind in ("or_", "and_"):
        return {kind.rstrip("_"): [_clause(part) for part in operand]}
    return {kind: operand}
