"""The kinds of files that can be imported, one file a kind."""

from __future__ import annotations

from spend.importing.adapters import anthropic_costs, anthropic_usage, litellm, openai_costs, openai_usage, own
from spend.importing.adapters.base import Adapter

_ALL = (
    own.ADAPTER,
    openai_usage.ADAPTER,
    openai_usage.CSV_ADAPTER,
    openai_costs.ADAPTER,
    anthropic_usage.ADAPTER,
    anthropic_usage.CSV_ADAPTER,
    anthropic_costs.ADAPTER,
    anthropic_costs.CSV_ADAPTER,
    litellm.ADAPTER,
)
ADAPTERS = {adapter.name: adapter for adapter in _ALL}
SOURCES = {"file": "a file", "openai": "OpenAI", "anthropic": "Anthropic", "litellm": "LiteLLM"}

__all__ = ["ADAPTERS", "SOURCES", "Adapter"]
