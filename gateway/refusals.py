"""Refused calls: the error that the caller reads, and the denial event that is kept of it."""

from __future__ import annotations

from contextlib import suppress

from gateway.answers import send_json
from gateway.apis.base import Shape
from gateway.arrival import Arrival
from gateway.auth import Stranger
from gateway.errors import error_body
from gateway.incoming import Send
from gateway.outbox import PENDING_MOST, Outbox, OutboxUnavailable
from gateway.receipts import receipt
from gateway.rules import Refusal
from wire.documents import KeyPolicy
from wire.events import DenialEvent, Denied, encode
from wire.queues.base import DENIALS

MODEL_LONGEST = 256  # names come from callers


class Refusals:
    """Answers refused calls. A refusal stands whether or not its event could be stored."""

    def __init__(self, outbox: Outbox, env: str) -> None:
        self._outbox = outbox
        self._env = env

    async def turn_away(self, send: Send, arrival: Arrival, shape: Shape, stranger: Stranger) -> None:
        """Refuse somebody whose key does not work."""
        await self.refuse(
            send,
            arrival,
            shape,
            stranger.refusal,
            policy=stranger.policy,
            public_id=stranger.public_id,
            revs=stranger.revs,
        )

    async def refuse(
        self,
        send: Send,
        arrival: Arrival,
        shape: Shape,
        refusal: Refusal,
        *,
        policy: KeyPolicy | None = None,
        public_id: str = "",
        revs: dict[str, int] | None = None,
        model: str = "",
    ) -> None:
        """Store a denial event and send the error."""
        event = DenialEvent(
            event_id=arrival.event_id,
            ts=arrival.ms,
            env=self._env,
            tenant=policy.tenant if policy else "",
            project=policy.project if policy else "",
            key=policy.key if policy else public_id,
            route=arrival.route[:MODEL_LONGEST],
            model_asked=model[:MODEL_LONGEST],
            reason=refusal.reason,
            revs=revs or {},
            http_status=refusal.http_status,
            request_id=arrival.request_id,
        )
        if self._outbox.pending < PENDING_MOST:
            with suppress(OutboxUnavailable):
                await self._outbox.put(DENIALS, encode(event))
        await send_error(
            send,
            shape,
            refusal.http_status,
            refusal.reason.value,
            refusal.message,
            arrival,
            close=refusal.reason is Denied.BODY_TOO_LARGE,
        )


async def send_error(
    send: Send,
    shape: Shape,
    status: int,
    code: str,
    message: str,
    arrival: Arrival,
    *,
    close: bool = False,
    retry: bool | None = None,
    cost: str | None = None,
    sandbox: bool = False,
    allow: str = "",
) -> None:
    """An error of the gateway's own, in the API's shape, with its code in `x-spendops-reason` too."""
    headers = receipt(request_id=arrival.request_id, event_id=arrival.event_id, cost=cost, sandbox=sandbox)
    headers.append((b"x-spendops-reason", code.encode()))
    if status == 503:
        headers.append((b"retry-after", b"1"))
    if retry is not None:
        headers.append((b"x-should-retry", b"true" if retry else b"false"))
    if allow:
        headers.append((b"allow", allow.encode()))
    if close:
        headers.append((b"connection", b"close"))
    await send_json(send, status, error_body(shape, status, code, message, arrival.request_id), headers)
