"""A new key as it is put to use: lines to paste, complete with the gateway's address and the key."""

from __future__ import annotations

from typing import NamedTuple

MODEL = "gpt-4o-mini"
CLAUDE = "claude-haiku-4-5"
PROMPT = "In one sentence: what does an AI gateway do?"


class Snippet(NamedTuple):
    """Lines for one tool. `id` names them in the page."""

    id: str
    label: str
    text: str


def snippets(key: str, base_url: str) -> list[Snippet]:
    """The same short call for curl and the official SDKs, and the variables that those SDKs read."""
    return [
        Snippet("curl", "curl", _curl(key, base_url)),
        Snippet("openai", "Python · openai", _openai(key, base_url)),
        Snippet("anthropic", "Python · anthropic", _anthropic(key, base_url)),
        Snippet("environment", "Environment variables", _environment(key, base_url)),
    ]


def _curl(key: str, base_url: str) -> str:
    return f"""\
curl -i {base_url}/v1/chat/completions \\
  -H "Authorization: Bearer {key}" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "{MODEL}", "max_tokens": 64, "messages": [{{"role": "user", "content": "{PROMPT}"}}]}}'"""


def _openai(key: str, base_url: str) -> str:
    return f"""\
# pip install openai
from openai import OpenAI

client = OpenAI(api_key="{key}", base_url="{base_url}/v1")
answer = client.chat.completions.create(
    model="{MODEL}",
    max_tokens=64,
    messages=[{{"role": "user", "content": "{PROMPT}"}}],
)
print(answer.choices[0].message.content)"""


def _anthropic(key: str, base_url: str) -> str:
    return f"""\
# pip install anthropic
from anthropic import Anthropic

client = Anthropic(api_key="{key}", base_url="{base_url}")
answer = client.messages.create(
    model="{CLAUDE}",
    max_tokens=64,
    messages=[{{"role": "user", "content": "{PROMPT}"}}],
)
print(answer.content[0].text)"""


def _environment(key: str, base_url: str) -> str:
    return f"""\
export OPENAI_API_KEY="{key}"
export OPENAI_BASE_URL="{base_url}/v1"
export ANTHROPIC_API_KEY="{key}"
export ANTHROPIC_BASE_URL="{base_url}\""""
