"""The honest estimate of what a call used, for when its provider did not say: about four bytes of text a token."""

from __future__ import annotations

from typing import Any

BYTES_PER_TOKEN = 4

# Values under these names are names, ids and binary data, not text that a model reads or writes.
_NOT_TEXT = frozenset(
    {"model", "id", "type", "role", "object", "created", "finish_reason", "data", "b64_json", "image_url", "file_data",
     "file_id", "call_id", "tool_call_id", "tool_use_id", "media_type", "format", "encrypted_content", "signature",
     "metadata", "user", "safety_identifier", "prompt_cache_key", "service_tier", "system_fingerprint", "embedding",
     "result", "partial_image_b64"}
)  # fmt: skip


_OUTPUT_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")


def tokens_of_bytes(count: int) -> int:
    """Tokens that a number of bytes of text come to, rounded up."""
    return -(-count // BYTES_PER_TOKEN)


def text_bytes(document: Any) -> int:
    """The bytes of text in a request or an answer (UTF-8); walks without recursion, however deep the document is."""
    total = 0
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            total += len(value.encode())
        elif isinstance(value, dict):
            waiting.extend(inner for name, inner in value.items() if name not in _NOT_TEXT)
        elif isinstance(value, list):
            waiting.extend(value)
            # An embedding's input may be given as token numbers.
            total += BYTES_PER_TOKEN * sum(type(inner) is int for inner in value)
    return total


def expected_tokens(asked: dict[str, Any]) -> int:
    """What a call may come to, before it is made: the text that goes in, and as much output as it asks for at most."""
    most = next((count for name in _OUTPUT_LIMITS if type(count := asked.get(name)) is int and count > 0), 0)
    answers = asked.get("n")
    return tokens_of_bytes(text_bytes(asked)) + most * (answers if type(answers) is int and answers > 0 else 1)


def estimated_units(seen: dict[str, int] | None, asked: Any, generated_bytes: int) -> dict[str, int]:
    """Units of a call that was not reported, or only in part: what was seen stays, the output is what was streamed."""
    generated = tokens_of_bytes(generated_bytes)
    if seen is None:
        units = {"requests": 1, "input": tokens_of_bytes(text_bytes(asked)), "output": generated}
    else:
        units = seen | {"output": max(seen.get("output", 0), generated)}
    return {name: count for name, count in units.items() if count}
