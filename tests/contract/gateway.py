"""What our own gateway says: its code, over the documents alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.auth import Authenticator, Caller
from gateway.incoming import Incoming
from gateway.policies import Policies
from gateway.pricebook import Prices
from gateway.rules import Asked, Refusal, block_refusal, model_refusal
from tests.loops import run as run_apart
from wire.cost import cost_of
from wire.events import Denied
from wire.prices import context_of


class UpToDate:
    """A mirror that has just seen everything there is."""

    stale = False
    expired = False

    async def refresh(self) -> None:
        """There is nothing newer."""


class Gateway:
    """A gateway of an environment, as far as it decides and prices."""

    def __init__(self, env: str, peppers: Sequence[bytes], documents: Mapping[str, bytes]) -> None:
        self._policies, self._prices = Policies(), Prices()
        for reader in (self._policies, self._prices):
            ours = [(name, body) for name, body in documents.items() if name.startswith(reader.prefixes)]
            take = reader.prepare(ours)
            if take is not None:
                take()
        self._authenticator = Authenticator(
            self._policies, UpToDate(), env=env, peppers=peppers[::-1], behind_proxy=False
        )

    def answer(self, key: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one question, in the form in which the contract's cases expect it."""
        now = asked["now"]
        headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
        scope = {"method": "POST", "path": "/", "headers": headers, "client": (asked["address"], 4711)}
        found = run_apart(self._authenticator.identify(Incoming(scope), now))
        if not isinstance(found, Caller):
            return _refused(found.refusal)
        question = Asked(asked["provider"], asked["model"], tuple(asked.get("also", ())))
        refusal = block_refusal(found.policy, found.tenant, now=now) or model_refusal(found.policy, question)
        if refusal is None and found.policy.pricing.min_version > self._prices.version:
            refusal = Refusal(Denied.POLICY_UNAVAILABLE, "This key's prices have not arrived yet. Try again shortly.")
        return _refused(refusal) if refusal else self._allowed(asked)

    def _allowed(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        yes = {"allowed": True, "reason": "", "http_status": 200, "message": "", "price_version": self._prices.version}
        book, units = self._prices.book, asked["units"]
        match = book.find(asked["provider"], asked["model"]) if book else None
        if match is None:
            return yes | {"cost_pico": None if units else "0", "model_priced": "", "unpriced": []}
        at = datetime.fromtimestamp(asked["now"] / 1000, UTC)
        cost = cost_of(units, match.prices.at(at, context_of(asked.get("service_tier", ""))))
        total = None if cost.total is None else str(cost.total)
        return yes | {"cost_pico": total, "model_priced": match.priced_as, "unpriced": list(cost.unpriced)}


def _refused(refusal: Refusal) -> dict[str, Any]:
    return {
        "allowed": False,
        "reason": refusal.reason.value,
        "http_status": refusal.http_status,
        "message": refusal.message,
        "cost_pico": None,
        "price_version": None,
    }
