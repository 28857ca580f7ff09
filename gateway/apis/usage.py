"""OpenAI's usage block, and what its followers made of it, as disjoint units (`wire.units`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.apis.base import part

COUNT_MOST = 2**53 - 1  # what a number in JSON holds exactly; no call comes near it


class OpenAIUsage(msgspec.Struct):
    """The usage block of chat completions and embeddings (`prompt_…`) and of responses (`input_…`) in one.

    Types are not asked for here: providers leave out or null what they do not count, and some write 12.0 for 12.
    """

    prompt_tokens: Any = None
    completion_tokens: Any = None
    input_tokens: Any = None
    output_tokens: Any = None
    total_tokens: Any = None
    prompt_tokens_details: Any = None
    completion_tokens_details: Any = None
    input_tokens_details: Any = None
    output_tokens_details: Any = None
    prompt_cache_hit_tokens: Any = None  # DeepSeek


_decode_usage = msgspec.json.Decoder(OpenAIUsage).decode


def openai_usage(raw: msgspec.Raw) -> dict[str, int] | None:
    """The units of a usage block as it stands in an answer; None when there is none that can be understood."""
    usage = part(raw, _decode_usage)
    return openai_units(usage) if usage is not None else None


def openai_units(usage: OpenAIUsage) -> dict[str, int] | None:
    """Split OpenAI's inclusive counts into disjoint units; None when there is no count at all,
    or one that is not a whole number.

    Cached, audio and image tokens are part of the prompt's count. Reasoning tokens are part of the completion's count
    at OpenAI; x-ai and Gemini leave them out of it but not out of the total, which is how the two are told apart.
    """
    sent = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens
    made = usage.completion_tokens if usage.completion_tokens is not None else usage.output_tokens
    if (sent is None and made is None) or not is_count(sent) or not is_count(made):
        return None
    taken_in, given_out = count_of(sent), count_of(made)
    into = _details(usage.prompt_tokens_details, usage.input_tokens_details)
    out = _details(usage.completion_tokens_details, usage.output_tokens_details)

    units: dict[str, int] = {}
    left = taken_in
    for name, count in (
        ("cache_read", max(into("cached_tokens"), count_of(usage.prompt_cache_hit_tokens))),
        ("cache_write", into("cache_write_tokens")),
        ("audio_in", into("audio_tokens")),
        ("image_in", into("image_tokens")),
    ):
        left -= _take(units, name, count, left)
    units["input"] = left

    beside = count_of(usage.total_tokens) - taken_in - given_out
    left = given_out
    if beside > 0:
        units["reasoning"] = beside
    else:
        left -= _take(units, "reasoning", out("reasoning_tokens"), left)
    for name, count in (("audio_out", out("audio_tokens")), ("image_out", out("image_tokens"))):
        left -= _take(units, name, count, left)
    units["output"] = left
    return without_zeros(units)


def without_zeros(units: dict[str, int]) -> dict[str, int]:
    """The units that were used, and the request itself."""
    return {"requests": 1} | {name: count for name, count in units.items() if count}


def _take(units: dict[str, int], name: str, count: int, left: int) -> int:
    """Move a part out of what is left of a count; a part larger than that is a provider's slip and is cut to fit."""
    taken = min(count, left)
    units[name] = taken
    return taken


def is_count(number: Any) -> bool:
    """Whether a count can be taken at its word: a whole number (12.0 is one), or nothing."""
    return number is None or type(number) is int or (type(number) is float and number.is_integer())


def count_of(number: Any) -> int:
    """A count within its bounds; 0 for what is none."""
    return min(max(int(number or 0), 0), COUNT_MOST) if is_count(number) else 0


def _details(*given: Any) -> Callable[[str], int]:
    """The parts that a count is broken down into, by name, from the first breakdown that there is."""
    details = next((each for each in given if isinstance(each, dict) and each), {})
    return lambda name: count_of(details.get(name))
