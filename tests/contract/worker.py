"""The reference Worker on Cloudflare's runtime: its documents come through the Cloudflare store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from tests.cloudflare.peer import Peer
from wire.kv.base import Write


def publish(peer: Peer, env: str, documents: Mapping[str, bytes], *, rev: int = 1) -> None:
    """Write documents into an environment's namespace through the Cloudflare store."""
    kv = peer.open(env)
    kv.write([Write(name, rev, body) for name, body in documents.items()])
    kv.close()


class Worker:
    """Asks the reference Worker of an environment."""

    def __init__(self, peer: Peer, env: str, http: httpx.Client) -> None:
        self._address = peer.edge(env)
        self._http = http

    def answer(self, key: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a question that has to be answered."""
        response = self.post({"key": key, **asked})
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def post(self, body: object) -> httpx.Response:
        return self._http.post(self._address, json=body)
