"""What the sandbox says, and how it counts tokens."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

CHARACTERS_PER_TOKEN = 4
PER_MESSAGE = 7  # tokens that a chat template wraps around a message
PRIMING = 3  # tokens that make the model begin to answer

_OPENING = (
    "This is SpendOps' sandbox: no AI model was asked, and no provider charged for it. Your call was checked, metered, "
    "priced and recorded like any other. Set a provider's API key and its models answer here in place of this text, "
    "under the same key of yours. "
)
_FURTHER = "Longer questions get longer answers, so that a chart of your own has something to show. "
_SHORT_ANSWER = 64  # tokens
_LONG_ANSWER = 1024


def tokens(text: str) -> int:
    """Tokens of a text."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def text_of(content: Any) -> str:
    """The text in a message's content: a string, or a list of parts of which some are text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(text_of(part) for part in content)
    if isinstance(content, dict):
        return "".join(text_of(content.get(name)) for name in ("text", "content", "output", "arguments", "input"))
    return ""


def json_text(value: Any) -> str:
    """What a value costs as text: tools are sent to a model as JSON."""
    return msgspec.json.encode(value).decode() if value else ""


def reply(prompt_tokens: int, most: int | None) -> tuple[str, bool]:
    """The answer to a prompt of so many tokens, and whether `most` cut it short."""
    length = min(_SHORT_ANSWER + max(prompt_tokens - _SHORT_ANSWER, 0) // 8, _LONG_ANSWER)
    wanted = length if most is None else min(length, most)
    text = _OPENING
    while tokens(text) < wanted:
        text += _FURTHER
    return text[: wanted * CHARACTERS_PER_TOKEN].rstrip(), wanted < length


def reasons(model: str) -> bool:
    """Whether a model of this name thinks before it answers."""
    name = model.rpartition("/")[2].lower()
    return name.startswith("gpt-5") or (name[:1] == "o" and name[1:2].isdigit())


def reasoning_tokens(model: str, prompt_tokens: int, most: int | None) -> int:
    """Tokens that a reasoning model thinks for: whole blocks of 64, as real ones report them."""
    if not reasons(model):
        return 0
    thought = 64 * (1 + prompt_tokens // 256)
    return thought if most is None else min(thought, most)


def short_hash(body: Any) -> str:
    """An id that is the same for the same request."""
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()[:24]


def pieces(text: str) -> list[str]:
    """A text in the pieces that a stream sends it in, one token each."""
    return [text[at : at + CHARACTERS_PER_TOKEN] for at in range(0, len(text), CHARACTERS_PER_TOKEN)]


def example_arguments(schema: Any) -> dict[str, Any]:
    """Arguments for a tool that fit its JSON schema's required properties, as far as their types go."""
    if not isinstance(schema, dict):
        return {}
    properties = schema.get("properties") or {}
    return {name: _example(properties.get(name)) for name in schema.get("required") or ()}


def _example(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return "sandbox"
    if schema.get("enum"):
        return schema["enum"][0]
    examples = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "null": None}
    kind = str(schema.get("type"))
    return example_arguments(schema) if kind == "object" else examples.get(kind, "sandbox")
