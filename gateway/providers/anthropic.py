"""Anthropic: its own messages API with `x-api-key`, and its OpenAI-compatible endpoint with a bearer token."""

from __future__ import annotations

from gateway.apis.base import Api, Shape
from gateway.providers.base import HeaderPairs, Kind

API_VERSION = "2023-06-01"


def authorise(api: Api, secret: str, given: frozenset[str]) -> HeaderPairs:
    """The header that each of the two endpoints wants; the API version only where the client named none."""
    if api.shape is not Shape.ANTHROPIC:
        return [("authorization", f"Bearer {secret}")]
    pairs = [("x-api-key", secret)]
    if "anthropic-version" not in given:
        pairs.append(("anthropic-version", API_VERSION))
    return pairs


ANTHROPIC = Kind("anthropic", "https://api.anthropic.com/v1", authorise, serves_messages=True)
