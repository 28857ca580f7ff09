"""Our prices beside another public table: LiteLLM's model_prices JSON, as a file that a user supplies.

Numbers are read as decimals from their text, never as floats. What differs is told; nothing is changed by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import msgspec

from wire.cost import price_for
from wire.money import MoneyError, pico_from_usd
from wire.prices import PriceBook, Tiered, context_of

WHOLE = 10_000
ROUNDING = 10  # basis points: tables round their figures differently, and nobody is wrong
KEPT_MOST = 2000
NAMED_MOST = 100

# Their providers by ours. What is not here is counted and left alone.
PROVIDERS = {
    "openai": "openai",
    "text-completion-openai": "openai",
    "anthropic": "anthropic",
    "azure": "azure",
    "azure_ai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "gemini": "google",
    "vertex_ai": "google",
    "vertex_ai-language-models": "google",
    "vertex_ai-anthropic_models": "google",
    "vertex_ai-embedding-models": "google",
    "mistral": "mistral",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "groq": "groq",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "cerebras": "cerebras",
    "moonshot": "moonshotai",
    "novita": "novita",
    "voyage": "voyageai",
}

# Their keys, each with our unit; all are USD for one unit.
KEYS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_in",
    "output_cost_per_audio_token": "audio_out",
    "cache_read_input_audio_token_cost": "audio_cache_read",
    "input_cost_per_image_token": "image_in",
    "output_cost_per_image_token": "image_out",
    "input_cost_per_audio_per_second": "audio_in_seconds",
    "input_cost_per_second": "audio_in_seconds",
    "input_cost_per_character": "characters_in",
    "ocr_cost_per_page": "pages_in",
}
_TIERS = {"_batches": "batch", "_priority": "priority", "_flex": "flex"}
_ABOVE = re.compile(r"_above_(\d{1,6})k_tokens", re.ASCII)
_NOT_COST = ("_per_", "_cost")


class CrossCheckError(Exception):
    """A file that is no such table; nothing was compared."""


class Disagreement(msgspec.Struct, frozen=True, omit_defaults=True):
    """One figure on which the tables differ, in pico-USD per unit."""

    provider: str  # ours
    model: str
    name: str  # theirs
    unit: str
    ours: int
    theirs: int
    basis_points: int | None  # ours against theirs, away from zero; None when theirs is nothing
    tier: str = ""  # the service tier
    above: int = 0  # the context length from which the figure holds


class Result(msgspec.Struct, frozen=True):
    """What came of a comparison. Lists end at a bound; the counts are whole."""

    listed: int  # models in their table
    matched: int
    compared: int  # figures
    disagreeing: int
    disagreements: tuple[Disagreement, ...]
    unmatched: int  # models of providers that we know, which no rule of ours finds
    unmatched_names: tuple[str, ...]
    other_providers: int  # models of providers that we do not list
    not_compared: int  # figures of a kind that is not mapped, or that we have no price for
    ours_alone: int  # our models, of providers that both list, that none of theirs led to


class _Figure(NamedTuple):
    unit: str
    tier: str
    above: int
    pico: int


def read_table(content: bytes) -> Mapping[str, Mapping[str, Any]]:
    """Their table, by their models' names. Raises CrossCheckError for anything else."""
    try:
        table = json.loads(content, parse_float=Decimal, parse_constant=str)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise CrossCheckError(f"This is not JSON: {error}.") from error
    if not isinstance(table, dict) or not any(
        isinstance(row, dict) and "litellm_provider" in row for row in table.values()
    ):
        raise CrossCheckError("This is not LiteLLM's table of model prices: give its model_prices JSON file.")
    return {name: row for name, row in table.items() if name != "sample_spec" and isinstance(row, dict)}


def compare(table: Mapping[str, Mapping[str, Any]], book: PriceBook, now: datetime) -> Result:
    """Every figure of theirs that we can map, beside ours as they hold at a moment."""
    matched = compared = unmatched = others = skipped = 0
    found_ours: set[tuple[str, str]] = set()
    providers: set[str] = set()
    names: list[str] = []
    differing: list[Disagreement] = []
    for name, row in sorted(table.items()):
        provider = PROVIDERS.get(str(row.get("litellm_provider", "")))
        if provider is None or provider not in book.blob.providers:
            others += 1
            continue
        providers.add(provider)
        match = next((found for each in _names(name) if (found := book.find(provider, each))), None)
        if match is None:
            unmatched += 1
            names.append(name)
            continue
        matched += 1
        found_ours.add((match.provider, match.model))
        for figure in _figures(row):
            ours = None
            if figure is not None:
                priced = price_for(figure.unit, match.prices.at(now, context_of(figure.tier)))
                ours = priced[1] if priced else None
            if figure is None or ours is None:
                skipped += 1
                continue
            compared += 1
            pico = ours.at(figure.above * 1000 + 1) if isinstance(ours, Tiered) else ours
            if _differ(pico, figure.pico):
                differing.append(
                    Disagreement(
                        match.provider,
                        match.model,
                        name,
                        figure.unit,
                        pico,
                        figure.pico,
                        _points(pico, figure.pico),
                        figure.tier,
                        figure.above * 1000,
                    )
                )
    # what is furthest apart is read first
    differing.sort(key=lambda each: (-_size(each), each.provider, each.model, each.unit))
    ours_all = {(owner, model) for owner in providers for model in book.blob.models.get(owner, {})}
    return Result(
        listed=len(table),
        matched=matched,
        compared=compared,
        disagreeing=len(differing),
        disagreements=tuple(differing[:KEPT_MOST]),
        unmatched=unmatched,
        unmatched_names=tuple(names[:NAMED_MOST]),
        other_providers=others,
        not_compared=skipped,
        ours_alone=len(ours_all - found_ours),
    )


def _names(name: str) -> Iterator[str]:
    """A model's name as ours may know it: theirs may put the provider before it, which is no part of the name."""
    route, slash, rest = name.partition("/")
    named = (rest, name) if route in PROVIDERS else (name, rest)
    yield from named if slash else (name,)


def _figures(row: Mapping[str, Any]) -> Iterator[_Figure | None]:
    """The figures of one model; None for one of a kind that is not mapped, or that is no number."""
    for key, value in row.items():
        if not any(part in key for part in _NOT_COST) or isinstance(value, dict | list | bool) or value is None:
            continue
        figure = _figure(key, value)
        if figure is None or figure.pico or figure.unit in ("input", "output"):
            yield figure  # a nothing beside input and output says only that nothing is known


def _figure(key: str, value: Any) -> _Figure | None:
    tier = ""
    for suffix, named in _TIERS.items():
        if key.endswith(suffix):
            key, tier = key.removesuffix(suffix), named
    above = 0
    if found := _ABOVE.search(key):
        above = int(found[1])
        key = key.replace(found[0], "")
    unit = KEYS.get(key)
    if unit is None:
        return None
    try:
        pico, _ = pico_from_usd(Decimal(value) if isinstance(value, int | str) else value)
    except (MoneyError, InvalidOperation, TypeError):
        return None
    return _Figure(unit, tier, above, pico)


def _differ(ours: int, theirs: int) -> bool:
    apart = abs(ours - theirs)
    return apart > 1 and apart * WHOLE > theirs * ROUNDING


def _points(ours: int, theirs: int) -> int | None:
    if not theirs:
        return None
    apart = -(-abs(ours - theirs) * WHOLE // theirs)
    return apart if ours > theirs else -apart


def _size(each: Disagreement) -> int:
    return 10**18 if each.basis_points is None else abs(each.basis_points)
