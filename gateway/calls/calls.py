"""The calls that are forwarded to providers, from the first look at the key to the last byte."""

from __future__ import annotations

import time

from gateway.apis.base import Api
from gateway.arrival import Arrival
from gateway.auth import Authenticator, Caller, Stranger
from gateway.calls.admission import Admission
from gateway.calls.call import Refused
from gateway.calls.forwarding import Forwarder
from gateway.incoming import BodyTooSlow, CallerGone, Incoming, Receive, Send
from gateway.refusals import Refusals, send_error


class Calls:
    """Answers one call after the other, step by step."""

    def __init__(self, auth: Authenticator, admission: Admission, forwarder: Forwarder, refusals: Refusals) -> None:
        self._auth = auth
        self._admission = admission
        self._forwarder = forwarder
        self._refusals = refusals

    async def answer(self, api: Api, request: Incoming, receive: Receive, send: Send) -> None:
        """Answer one call."""
        arrival = Arrival.of(request)
        caller = await self._auth.identify(request, arrival.ms)
        if isinstance(caller, Stranger):
            await self._refusals.turn_away(send, arrival, api.shape, caller)
            return
        try:
            raw = await self._admission.body(request, receive)
        except CallerGone:
            return
        except BodyTooSlow:
            message = "The request did not come in whole in time. Send it again."
            await send_error(send, api.shape, 408, "body_timeout", message, arrival, stored=False, close=True)
            return
        # A body may take its time. What decides is what is known once it is here, not what was known before.
        known = self._auth.again(caller, _now())
        if isinstance(known, Caller) and await self._admission.newer_prices(known):
            known = self._auth.again(known, _now())
        if isinstance(known, Stranger):
            await self._refusals.turn_away(send, arrival, api.shape, known)
            return
        caller = known
        call = (
            raw if isinstance(raw, Refused) else self._admission.admit(api, request, raw, arrival, caller, now=_now())
        )
        if isinstance(call, Refused):
            await self._refusals.refuse(
                send,
                arrival,
                api.shape,
                call.refusal,
                policy=caller.policy,
                revs=caller.revs | call.revs,
                model=call.model,
            )
            return
        try:
            await self._forwarder.forward(call, request, receive, send)
        finally:
            call.slot.end({})  # it has ended with what it used, unless something went wrong before that was known


def _now() -> int:
    return time.time_ns() // 1_000_000
