"""OpenAI's embeddings: unit vectors that depend on the text alone."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import Any

from gateway.sandbox.answers import BadRequest, Body, Whole, limit_of, model_of
from gateway.sandbox.text import tokens

_DIMENSIONS = {"text-embedding-3-large": 3072}
_USUAL_DIMENSIONS = 1536
_MOST_DIMENSIONS = 4096
_MOST_INPUTS = 2048


def embeddings(body: Body, *, with_usage: bool) -> Whole:
    """Embed one text or many; token numbers are taken too."""
    model = model_of(body)
    dimensions = limit_of(body, "dimensions") or _DIMENSIONS.get(model, _USUAL_DIMENSIONS)
    if dimensions > _MOST_DIMENSIONS:
        raise BadRequest(f"dimensions must be {_MOST_DIMENSIONS} at most")
    inputs = _inputs(body.get("input"))
    encoded = body.get("encoding_format") == "base64"
    data = []
    for index, each in enumerate(inputs):
        vector = _vector(each, dimensions)
        packed = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() if encoded else vector
        data.append({"object": "embedding", "index": index, "embedding": packed})
    used = sum(tokens(each) if isinstance(each, str) else len(each) for each in inputs)
    usage = {"usage": {"prompt_tokens": used, "total_tokens": used}} if with_usage else {}
    return Whole({"object": "list", "data": data, "model": model} | usage)


def _inputs(given: Any) -> list[str | list[int]]:
    if isinstance(given, str):
        return [given]
    if isinstance(given, list) and 0 < len(given) <= _MOST_INPUTS:
        if all(isinstance(each, int) for each in given):
            return [given]
        if all(isinstance(each, str) or _token_numbers(each) for each in given):
            return given
    raise BadRequest(f"input must be a text, a list of token numbers, or a list of up to {_MOST_INPUTS} of them")


def _token_numbers(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(each, int) for each in given)


def _vector(text: str | list[int], dimensions: int) -> list[float]:
    digest = hashlib.shake_256(repr(text).encode()).digest(dimensions * 4)
    numbers = [value - 2**31 for value in struct.unpack(f"<{dimensions}I", digest)]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / length for number in numbers]
