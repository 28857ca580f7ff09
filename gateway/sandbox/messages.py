"""Anthropic's messages, plain and streamed, with a prompt cache."""

from __future__ import annotations

import hashlib
import time
from typing import Any, NamedTuple

from gateway.sandbox.answers import BadRequest, Body, Events, Whole, event, limit_of, listed, model_of
from gateway.sandbox.text import (
    PER_MESSAGE,
    PRIMING,
    example_arguments,
    json_text,
    pieces,
    reply,
    short_hash,
    text_of,
    tokens,
)

_LIFETIMES = {"5m": 300, "1h": 3600}  # seconds
_KEPT_MOST = 10_000


class _Mark(NamedTuple):
    """A place in a prompt up to which it is to be cached."""

    digest: str
    tokens: int
    ttl: str


class PromptCache:
    """Which prompts were seen lately. Unlike the real one it has no least length, so that a short text shows it."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def use(self, marks: list[_Mark]) -> dict[str, int]:
        """Read up to the last mark that is cached, write from there up to each later one; returns tokens by kind."""
        now = time.monotonic()
        read = max((mark.tokens for mark in marks if self._until.get(mark.digest, 0) > now), default=0)
        counted, counts = read, {"read": read, "5m": 0, "1h": 0}
        for mark in marks:
            if mark.tokens > counted:
                counts[mark.ttl] += mark.tokens - counted
                counted = mark.tokens
            self._keep(mark, now)
        return counts

    def _keep(self, mark: _Mark, now: float) -> None:
        if len(self._until) >= _KEPT_MOST:
            self._until = {digest: until for digest, until in self._until.items() if until > now}
            while len(self._until) >= _KEPT_MOST:
                self._until.pop(next(iter(self._until)))
        self._until[mark.digest] = now + _LIFETIMES[mark.ttl]


def messages(body: Body, cache: PromptCache, *, with_usage: bool) -> Whole | Events:
    """Answer a message."""
    model = model_of(body)
    turns = listed(body, "messages")
    if not turns:
        raise BadRequest("messages: at least one message is required")
    most = limit_of(body, "max_tokens")
    if most is None:
        raise BadRequest("max_tokens: Field required")
    tools = listed(body, "tools")
    prompt, marks = _prompt(body, turns, tools)
    counts = cache.use(marks)
    cached = counts["read"] + counts["5m"] + counts["1h"]

    content: list[Body]
    last = turns[-1].get("content")
    answered = isinstance(last, list) and any(b.get("type") == "tool_result" for b in last if isinstance(b, dict))
    callable_tools = [tool for tool in tools if isinstance(tool.get("name"), str)]
    choice = body.get("tool_choice") or {}
    if callable_tools and not answered and choice.get("type") != "none":
        wanted = choice.get("name")
        tool = next((t for t in callable_tools if wanted in (None, t["name"])), callable_tools[0])
        arguments = example_arguments(tool.get("input_schema"))
        content = [{"type": "tool_use", "id": f"toolu_{short_hash(tool)}", "name": tool["name"], "input": arguments}]
        made, stop = tokens(json_text(content)), "tool_use"
    else:
        text, cut = reply(prompt, most)
        content = [{"type": "text", "text": text}]
        made, stop = tokens(text), "max_tokens" if cut else "end_turn"
    usage: Body = {
        "input_tokens": prompt - cached,
        "cache_creation_input_tokens": counts["5m"] + counts["1h"],
        "cache_read_input_tokens": counts["read"],
        "cache_creation": {"ephemeral_5m_input_tokens": counts["5m"], "ephemeral_1h_input_tokens": counts["1h"]},
        "output_tokens": made,
        "service_tier": "standard",
    }
    answer = {
        "id": f"msg_{short_hash(body)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
    }
    if body.get("stream") is True:
        return Events(_stream(answer, usage if with_usage else None))
    return Whole(answer | ({"usage": usage} if with_usage else {}))


def _prompt(body: Body, turns: list[Body], tools: list[Body]) -> tuple[int, list[_Mark]]:
    """The prompt's tokens, and its cache marks, in the order in which a model reads: tools, system, messages."""
    digest = hashlib.sha256()
    marks: list[_Mark] = []
    total = 0

    def read(text: str, block: Any) -> None:
        nonlocal total
        total += tokens(text)
        digest.update(text.encode() + b"\0")
        control = block.get("cache_control") if isinstance(block, dict) else None
        if isinstance(control, dict):
            ttl = control.get("ttl") or "5m"
            if ttl not in _LIFETIMES:
                raise BadRequest("cache_control.ttl must be 5m or 1h")
            marks.append(_Mark(digest.hexdigest(), total, ttl))

    for tool in tools:
        read(json_text({name: value for name, value in tool.items() if name != "cache_control"}), tool)
    system = body.get("system")
    for block in [system] if isinstance(system, str) else listed(body, "system"):
        read(text_of(block), block)
    for turn in turns:
        total += PER_MESSAGE
        content = turn.get("content")
        for part in content if isinstance(content, list) else [content]:
            read(text_of(part), part)
    return total + PRIMING, marks


def _stream(answer: Body, usage: Body | None) -> list[bytes]:
    opening = answer | {"content": [], "stop_reason": None}
    if usage is not None:
        opening["usage"] = usage | {"output_tokens": 1}
    events = [event({"type": "message_start", "message": opening}, "message_start")]
    for index, block in enumerate(answer["content"]):
        if block["type"] == "text":
            empty, deltas = block | {"text": ""}, [{"type": "text_delta", "text": p} for p in pieces(block["text"])]
        else:
            empty = block | {"input": {}}
            deltas = [
                {"type": "input_json_delta", "partial_json": p} for p in pieces(json_text(block["input"]) or "{}")
            ]
        start = {"type": "content_block_start", "index": index, "content_block": empty}
        events += [event(start, "content_block_start"), event({"type": "ping"}, "ping")]
        events += [
            event({"type": "content_block_delta", "index": index, "delta": delta}, "content_block_delta")
            for delta in deltas
        ]
        events.append(event({"type": "content_block_stop", "index": index}, "content_block_stop"))
    ending: Body = {
        "type": "message_delta",
        "delta": {"stop_reason": answer["stop_reason"], "stop_sequence": None},
    }
    if usage is not None:
        totals = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
        ending["usage"] = {name: usage[name] for name in totals}
    return [*events, event(ending, "message_delta"), event({"type": "message_stop"}, "message_stop")]
