"""OpenAI's responses, plain and streamed."""

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


def responses(body: Body, *, with_usage: bool) -> Whole | Events:
    """Answer a request for a response."""
    model = model_of(body)
    tools = listed(body, "tools")
    given = body.get("input")
    items: list[Body] = [{"role": "user", "content": given}] if isinstance(given, str) else listed(body, "input")
    if not items:
        raise BadRequest("input must be a text or a list of items")
    instructions = body.get("instructions")
    prompt = PRIMING + sum(PER_MESSAGE + tokens(text_of(item)) for item in items) + tokens(json_text(tools))
    prompt += PER_MESSAGE + tokens(instructions) if isinstance(instructions, str) else 0
    most = limit_of(body, "max_output_tokens")
    thought = reasoning_tokens(model, prompt, most)
    id_ = short_hash(body)

    functions = [tool for tool in tools if tool.get("type") == "function" and isinstance(tool.get("name"), str)]
    output: list[Body] = []
    if thought:
        output.append({"id": f"rs_{id_}", "type": "reasoning", "summary": []})
    if functions and body.get("tool_choice") != "none" and items[-1].get("type") != "function_call_output":
        cut = False
        output.append(_function_call(functions[0]))
        visible = tokens(json_text(output[-1]["arguments"]))
    else:
        text, cut = reply(prompt, None if most is None else most - thought)
        visible = tokens(text)
        output.append(
            {
                "id": f"msg_{id_}",
                "type": "message",
                "status": "incomplete" if cut else "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }
        )
    response = {
        "id": f"resp_{id_}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "incomplete" if cut else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": instructions,
        "max_output_tokens": most,
        "metadata": body.get("metadata") or {},
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "service_tier": "default",
        "temperature": 1.0,
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": tools,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": thought + visible,
            "output_tokens_details": {"reasoning_tokens": thought},
            "total_tokens": prompt + thought + visible,
        }
        if with_usage
        else None,
    }
    return Events(_stream(response)) if body.get("stream") is True else Whole(response)


def _stream(response: Body) -> list[bytes]:
    documents: list[Body] = []

    def say(kind: str, **fields: Any) -> None:
        documents.append({"type": kind, "sequence_number": len(documents), **fields})

    begun = response | {"status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    say("response.created", response=begun)
    say("response.in_progress", response=begun)
    for index, item in enumerate(response["output"]):
        place = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            part = item["content"][0]
            place["content_index"] = 0
            say("response.output_item.added", output_index=index, item=item | {"status": "in_progress", "content": []})
            say("response.content_part.added", **place, part=part | {"text": ""})
            for piece in pieces(part["text"]):
                say("response.output_text.delta", **place, delta=piece, logprobs=[])
            say("response.output_text.done", **place, text=part["text"], logprobs=[])
            say("response.content_part.done", **place, part=part)
        elif item["type"] == "function_call":
            opened = item | {"status": "in_progress", "arguments": ""}
            say("response.output_item.added", output_index=index, item=opened)
            for piece in pieces(item["arguments"]):
                say("response.function_call_arguments.delta", **place, delta=piece)
            say("response.function_call_arguments.done", **place, name=item["name"], arguments=item["arguments"])
        else:
            say("response.output_item.added", output_index=index, item=item)
        say("response.output_item.done", output_index=index, item=item)
    say(f"response.{response['status']}", response=response)
    return [event(document, document["type"]) for document in documents]


def _function_call(tool: Body) -> Body:
    return {
        "id": f"fc_{short_hash(tool)}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{short_hash(tool)}",
        "name": tool["name"],
        "arguments": json_text(example_arguments(tool.get("parameters"))) or "{}",
    }
