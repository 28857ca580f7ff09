"""OpenAI's chat completions, plain and streamed."""

from __future__ import annotations

import time
from typing import Any

from gateway.sandbox.answers import BadRequest, Body, Events, Whole, event, limit_of, listed, model_of
from gateway.sandbox.text import (
    PER_MESSAGE,
    PRIMING,
    example_arguments,
    json_text,
    pieces,
    reasoning_tokens,
    reply,
    short_hash,
    text_of,
    tokens,
)


def chat(body: Body, *, with_usage: bool) -> Whole | Events:
    """Answer a chat. The last message decides whether a tool is called: one is, unless it holds a tool's result."""
    model = model_of(body)
    messages = listed(body, "messages")
    if not messages:
        raise BadRequest("messages must have at least one message")
    tools = listed(body, "tools")
    prompt = PRIMING + sum(PER_MESSAGE + tokens(text_of(m.get("content"))) for m in messages) + tokens(json_text(tools))
    most = limit_of(body, "max_completion_tokens", "max_tokens")
    thought = reasoning_tokens(model, prompt, most)

    calls: list[Body] = []
    if tools and body.get("tool_choice") != "none" and messages[-1].get("role") != "tool":
        calls, text, cut = [_tool_call(tools, body)], "", False
        visible = tokens(json_text(calls))
    else:
        text, cut = reply(prompt, None if most is None else most - thought)
        visible = tokens(text)
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": thought + visible,
        "total_tokens": prompt + thought + visible,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": 0},
    }
    head = {
        "id": f"chatcmpl-{short_hash(body)}",
        "created": int(time.time()),
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
    }
    finish = "tool_calls" if calls else "length" if cut else "stop"
    if body.get("stream") is True:
        options = body.get("stream_options") or {}
        asked = isinstance(options, dict) and options.get("include_usage") is True
        return Events(_stream(head, text, calls, finish, usage if with_usage and asked else None, asked=asked))
    message: Body = {"role": "assistant", "content": text or None, "refusal": None}
    if calls:
        message["tool_calls"] = calls
    answer = head | {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
    }
    return Whole(answer | ({"usage": usage} if with_usage else {}))


def _stream(head: Body, text: str, calls: list[Body], finish: str, usage: Body | None, *, asked: bool) -> list[bytes]:
    head = head | {"object": "chat.completion.chunk"}
    plain: Body = {"usage": None} if asked else {}

    def chunk(delta: Body, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return event(head | {"choices": [choice]} | plain)

    events = [chunk({"role": "assistant", "content": "" if text else None, "refusal": None})]
    events += [chunk({"content": piece}) for piece in pieces(text)]
    for number, call in enumerate(calls):
        arguments = call["function"]["arguments"]
        opened = call | {"index": number, "function": {"name": call["function"]["name"], "arguments": ""}}
        events.append(chunk({"tool_calls": [opened]}))
        events += [chunk({"tool_calls": [{"index": number, "function": {"arguments": p}}]}) for p in pieces(arguments)]
    events.append(chunk({}, finish))
    if usage is not None:
        events.append(event(head | {"choices": [], "usage": usage}))
    return [*events, b"data: [DONE]\n\n"]


def _tool_call(tools: list[Body], body: Body) -> Body:
    functions: list[Any] = [tool.get("function") for tool in tools]
    choice = body.get("tool_choice")
    wanted = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    chosen = next((f for f in functions if isinstance(f, dict) and wanted in (None, f.get("name"))), None)
    if chosen is None or not isinstance(chosen.get("name"), str):
        raise BadRequest("tools must be functions with a name")
    arguments = json_text(example_arguments(chosen.get("parameters"))) or "{}"
    return {
        "id": f"call_{short_hash(chosen)}",
        "type": "function",
        "function": {"name": chosen["name"], "arguments": arguments},
    }
