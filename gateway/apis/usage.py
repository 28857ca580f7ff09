"""OpenAI's usage block, and what its followers made of it, as disjoint units (`wire.units`)."""

from __future__ import annotations

import msgspec

COUNT_MOST = 2**53 - 1  # what a number in JSON holds exactly; no call comes near it


class Details(msgspec.Struct):
    """The parts that a token count is broken down into. Providers leave out or null what they do not count."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    reasoning_tokens: int | None = None


class OpenAIUsage(msgspec.Struct):
    """The usage block of chat completions and embeddings (`prompt_…`) and of responses (`input_…`) in one."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek


_NO_DETAILS = Details()


def openai_units(usage: OpenAIUsage) -> dict[str, int] | None:
    """Split OpenAI's inclusive counts into disjoint units; None when there is no count at all.

    Cached, audio and image tokens are part of the prompt's count. Reasoning tokens are part of the completion's count
    at OpenAI; x-ai and Gemini leave them out of it but not out of the total, which is how the two are told apart.
    """
    sent = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens
    made = usage.completion_tokens if usage.completion_tokens is not None else usage.output_tokens
    if sent is None and made is None:
        return None
    taken_in, given_out = _count(sent), _count(made)
    into = usage.prompt_tokens_details or usage.input_tokens_details or _NO_DETAILS
    out = usage.completion_tokens_details or usage.output_tokens_details or _NO_DETAILS

    units: dict[str, int] = {}
    left = taken_in
    for name, count in (
        ("cache_read", max(_count(into.cached_tokens), _count(usage.prompt_cache_hit_tokens))),
        ("cache_write", _count(into.cache_write_tokens)),
        ("audio_in", _count(into.audio_tokens)),
        ("image_in", _count(into.image_tokens)),
    ):
        left -= _take(units, name, count, left)
    units["input"] = left

    beside = _count(usage.total_tokens) - taken_in - given_out
    left = given_out
    if beside > 0:
        units["reasoning"] = beside
    else:
        left -= _take(units, "reasoning", _count(out.reasoning_tokens), left)
    for name, count in (("audio_out", _count(out.audio_tokens)), ("image_out", _count(out.image_tokens))):
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


def _count(number: int | None) -> int:
    return min(max(number or 0, 0), COUNT_MOST)
