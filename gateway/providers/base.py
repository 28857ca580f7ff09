"""A provider as the gateway sees it: where it is, and which headers prove that we may call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from yarl import URL

from gateway.apis.base import Api

SANDBOX_CREDENTIAL = "sandbox"

HeaderPairs = list[tuple[str, str]]
Authorise = Callable[[Api, str, frozenset[str]], HeaderPairs]


class Kind(NamedTuple):
    """What is known of a provider before any setting is read.

    `authorise(api, secret, given)` makes the headers that carry the credential; `given` names the headers that the
    caller's own client already sends. `asks_usage` says whether the provider understands `stream_options`,
    `routes` whether it may let another model answer than the one asked for.
    """

    name: str  # as the price book writes it
    base_url: str  # what stands before an API's path, version included
    authorise: Authorise
    serves_messages: bool = False  # speaks Anthropic's messages API itself
    asks_usage: bool = True
    routes: bool = False


class Provider:
    """One configured provider: a kind with a base URL and a credential, or with the sandbox in its place."""

    def __init__(self, kind: Kind, *, base_url: str, secret: str, credential: str) -> None:
        self.kind = kind
        self.name = kind.name
        self.base_url = base_url.rstrip("/")
        self.credential = credential
        self.sandbox = credential == SANDBOX_CREDENTIAL
        self._secret = secret
        self._urls: dict[str, URL] = {}

    def url(self, api: Api) -> URL:
        """The address of an API at this provider, parsed once."""
        found = self._urls.get(api.suffix)
        if found is None:
            found = self._urls[api.suffix] = URL(self.base_url + api.suffix, encoded=True)
        return found

    def headers(self, api: Api, given: frozenset[str]) -> HeaderPairs:
        """The headers that carry our credential; none for a provider that is called without one."""
        return self.kind.authorise(api, self._secret, given) if self._secret else []

    def __repr__(self) -> str:
        return f"<Provider {self.name} at {self.base_url}, credential {self.credential or 'none'}>"
