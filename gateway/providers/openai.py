"""OpenAI and the providers that have an endpoint in its wire format: a bearer token, the same paths."""

from __future__ import annotations

from gateway.apis.base import Api
from gateway.providers.base import HeaderPairs, Kind


def bearer(api: Api, secret: str, given: frozenset[str]) -> HeaderPairs:
    """`Authorization: Bearer …`, whatever the API."""
    return [("authorization", f"Bearer {secret}")]


OPENAI = Kind("openai", "https://api.openai.com/v1", bearer)

# Base URLs of the OpenAI-compatible endpoints, from each provider's documentation.
COMPATIBLE = (
    Kind("google", "https://generativelanguage.googleapis.com/v1beta/openai", bearer),
    # Mistral refuses parameters that it does not know, and sends usage with a stream's last chunk unasked.
    Kind("mistral", "https://api.mistral.ai/v1", bearer, asks_usage=False),
    Kind("deepseek", "https://api.deepseek.com/v1", bearer),
    Kind("groq", "https://api.groq.com/openai/v1", bearer),
    Kind("openrouter", "https://openrouter.ai/api/v1", bearer, routes=True),
    Kind("x-ai", "https://api.x.ai/v1", bearer),
)
