"""Facts about models beside their prices: what they are, what may be typed, and the few that we bring ourselves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

TIERS = ("bulk", "standard", "frontier")
CAPABILITIES = (
    "tools",
    "vision",
    "audio",
    "video",
    "reasoning",
    "structured_output",
    "embeddings",
    "image_generation",
    "speech",
    "transcription",
    "web_search",
    "batch",
    "caching",
)
_TOKENS_MOST = 10**9
_NAMES_MOST, _NAME_LONGEST = 50, 255
_BUNDLED = Path(__file__).parent / "bundled_facts.json"

# Each fact with what stands there while nobody knows it.
FACTS: dict[str, Callable[[], Any] | str | None] = {
    "context_window": None,
    "output_most": None,
    "capabilities": list,
    "aliases": list,
    "tier": "",
    "deprecated_on": None,
}


class Fact(NamedTuple):
    """A fact that we bring: its value, the provider's page that says so, and the day (ISO) it was read."""

    value: Any
    source: str
    seen: str


@cache
def bundled_facts() -> dict[tuple[str, str], dict[str, Fact]]:
    """The facts that we bring, by provider and model."""
    listed = json.loads(_BUNDLED.read_text(encoding="utf-8"))["models"]
    return {
        (each["provider"], each["model"]): {
            name: Fact(_value(name, value), each["source"], each["seen"]) for name, value in each["facts"].items()
        }
        for each in listed
    }


def fact_from_text(name: str, text: str) -> Any:
    """A fact as a person types it; "" is none. Several names are separated by commas.

    Raises ValueError saying what cannot be taken.
    """
    text = text.strip()
    if name not in FACTS:
        raise ValueError(f"{name} is not a fact of models: choose one of {', '.join(FACTS)}.")
    if not text:
        empty = FACTS[name]
        return empty() if callable(empty) else empty
    if name in ("context_window", "output_most"):
        return _tokens(text)
    if name == "deprecated_on":
        return _day(text)
    if name == "tier":
        if text not in TIERS:
            raise ValueError(f"{text[:40]!r} is not a tier: choose one of {', '.join(TIERS)}.")
        return text
    return _names(name, text)


def _value(name: str, value: Any) -> Any:
    return _day(value) if name == "deprecated_on" else value


def _tokens(text: str) -> int:
    digits = re.sub(r"[,_ ]", "", text)
    if not re.fullmatch(r"\d{1,10}", digits, re.ASCII) or not 1 <= int(digits) <= _TOKENS_MOST:
        raise ValueError(f"{text[:40]!r} is not a number of tokens: write a whole number from 1, such as 128,000.")
    return int(digits)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text[:40]!r} is not a day: write it like 2026-11-30.") from error


def _names(name: str, text: str) -> list[str]:
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if name == "capabilities" and (unknown := [each for each in names if each not in CAPABILITIES]):
        raise ValueError(f"{unknown[0][:40]!r} is not a capability: choose from {', '.join(CAPABILITIES)}.")
    if len(names) > _NAMES_MOST or any(len(each) > _NAME_LONGEST or not each.isprintable() for each in names):
        raise ValueError(f"Give up to {_NAMES_MOST} names of up to {_NAME_LONGEST} characters, separated by commas.")
    return names
