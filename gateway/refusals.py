"""Refused calls: the error that the caller reads, and the denial event that is kept of it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from gateway.answers import send_json
from gateway.apis.base import Shape
from gateway.arrival import Arrival
from gateway.auth import Stranger
from gateway.errors import error_body
from gateway.incoming import Send
from gateway.limits import Limiter
from gateway.metrics import Metrics
from gateway.outbox import PENDING_MOST, Outbox, OutboxUnavailable
from gateway.receipts import receipt
from gateway.rules import Refusal
from wire.documents import KeyPolicy
from wire.events import DenialEvent, Denied, encode
from wire.queues.base import DENIALS

MODEL_LONGEST = 256  # names come from callers


class Refusals:
    """Answers refused calls. A refusal stands whether or not its event could be stored."""

    def __init__(self, outbox: Outbox, env: str, *, limiter: Limiter, metrics: Metrics) -> None:
        self._outbox = outbox
        self._env = env
        self._limiter = limiter
        self._metrics = metrics

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
        self._metrics.denied(refusal.reason)
        stored = self._outbox.pending < PENDING_MOST
        if stored:
            with suppress(OutboxUnavailable):  # it is kept, and stored later
                await self._outbox.put(DENIALS, encode(event))
        await send_error(
            send,
            shape,
            refusal.http_status,
            refusal.reason.value,
            refusal.message,
            arrival,
            stored=stored,
            close=refusal.reason is Denied.BODY_TOO_LARGE,
            retry_after=refusal.retry_after,
            limits=self._limiter.headers(policy) if policy and refusal.reason is Denied.RATE_LIMITED else (),
        )


async def send_error(
    send: Send,
    shape: Shape,
    status: int,
    code: str,
    message: str,
    arrival: Arrival,
    *,
    stored: bool = True,
    close: bool = False,
    retry: bool | None = None,
    retry_after: int = 0,
    limits: Iterable[tuple[bytes, bytes]] = (),
    cost: str | None = None,
    charge: str | None = None,
    sandbox: bool = False,
    allow: str = "",
) -> None:
    """An error of the gateway's own, in the API's shape, with its code in `x-spendops-reason` too.

    `stored`: an event is kept of it, which the caller is told the id of. `retry_after` is in milliseconds.
    """
    event_id = arrival.event_id if stored else ""
    headers = receipt(request_id=arrival.request_id, event_id=event_id, cost=cost, charge=charge, sandbox=sandbox)
    headers.append((b"x-spendops-reason", code.encode()))
    headers.extend(limits)
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 503 and not retry_after:
        retry_after = 1000
    if retry_after:
        headers.append((b"retry-after", str(-(-retry_after // 1000)).encode()))
        headers.append((b"retry-after-ms", str(retry_after).encode()))  # official clients go by this one first
    if retry is not None:
        headers.append((b"x-should-retry", b"true" if retry else b"false"))
    if allow:
        headers.append((b"allow", allow.encode()))
    if close:
        headers.append((b"connection", b"close"))
    await send_json(send, status, error_body(shape, status, code, message, arrival.request_id), headers)
