"""What a model may be selected for, and how selections are named. Pure: no database."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from tenants.errors import InvalidSettingError
from wire.documents import TIERS, USES
from wire.units import UNITS, Measure

USE_LABELS = {
    "chat": "Chat completions",
    "responses": "Responses",
    "embeddings": "Embeddings",
    "messages": "Messages",
}
ROUTES = {
    "chat": "POST /v1/chat/completions",
    "responses": "POST /v1/responses",
    "embeddings": "POST /v1/embeddings",
    "messages": "POST /v1/messages",
}
# The providers that a gateway can be set up to call; a test holds them against the gateway's own.
CALLED = ("openai", "anthropic", "google", "mistral", "deepseek", "groq", "openrouter", "x-ai")
_MESSAGES_PROVIDERS = frozenset({"anthropic"})  # whose own API a gateway speaks on that route


def uses_of(*, provider: str, model: str, capabilities: Collection[str], priced_units: Collection[str]) -> list[str]:
    """What a model can be asked for, in the order of USES; none when it has no price.

    A model that is known to embed, or is called so while its capabilities are not known, is for embeddings alone; one
    whose tokens of output have a price writes text.
    """
    if not priced_units:
        return []
    embeds = "embeddings" in capabilities or (not capabilities and "embed" in model.lower())
    if embeds:
        return ["embeddings"]
    if not any(_is_output(unit) for unit in priced_units):
        return []
    return ["chat", "responses"] + (["messages"] if provider in _MESSAGES_PROVIDERS else [])


def clean_use(use: str) -> str:
    """One of the uses. Raises InvalidSettingError."""
    if use not in USES:
        raise InvalidSettingError(f"There is no use {use[:60]!r}: choose one of {', '.join(USES)}.", field="use")
    return use


def clean_tier(tier: str) -> str:
    """One of the tiers. Raises InvalidSettingError."""
    if tier not in TIERS:
        raise InvalidSettingError(f"There is no tier {tier[:60]!r}: choose one of {', '.join(TIERS)}.", field="tier")
    return tier


def mark_of(rows: Iterable[tuple[int, int]]) -> str:
    """What stands for a set of selections, given as (row id, version): another one as soon as any of them changed."""
    text = " ".join(f"{pk}.{version}" for pk, version in sorted(rows))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _is_output(unit: str) -> bool:
    known = UNITS.get(unit)
    return known is not None and known.direction == "output" and known.measure is Measure.TOKEN
