"""All providers that settings may configure, and the choice of one for a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gateway.apis.base import Api, Shape
from gateway.providers.anthropic import ANTHROPIC
from gateway.providers.base import Kind, Provider
from gateway.providers.openai import COMPATIBLE, OPENAI
from wire.prices import PriceBook

KINDS: tuple[Kind, ...] = (OPENAI, ANTHROPIC, *COMPATIBLE)


class Choice(NamedTuple):
    """Where a call goes. `provider` is None when the one that `name` says is not configured here."""

    name: str
    model: str  # as it is sent: without our prefix
    provider: Provider | None


def choose(api: Api, asked: str, providers: Mapping[str, Provider], book: PriceBook | None) -> Choice:
    """The provider of a call.

    Anthropic's own API goes to Anthropic. On OpenAI's routes a prefix that names a configured provider decides
    (`mistral/mistral-small-latest`), else the price book's rules on model names do, else it is OpenAI. A prefix of the
    route's own provider is taken off everywhere: what is sent is the provider's own name of the model.
    """
    prefix, slash, rest = asked.partition("/")
    prefixed = bool(slash and rest) and prefix.lower() in providers
    if api.shape is Shape.ANTHROPIC:
        name = ANTHROPIC.name
        return Choice(name, rest if prefixed and prefix.lower() == name else asked, providers.get(name))
    if prefixed:
        name = prefix.lower()
        return Choice(name, rest, providers[name])
    guessed = book.provider_of(asked) if book is not None else None
    name = guessed if guessed is not None and guessed in providers else OPENAI.name
    return Choice(name, asked, providers.get(name))
