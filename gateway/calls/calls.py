"""The calls that are forwarded to providers, from the first look at the key to the last byte."""

from __future__ import annotations

from gateway.apis.base import Api
from gateway.arrival import Arrival
from gateway.auth import Authenticator, Stranger
from gateway.calls.admission import Admission
from gateway.calls.call import Refused
from gateway.calls.forwarding import Forwarder
from gateway.incoming import CallerGone, Incoming, Receive, Send
from gateway.refusals import Refusals


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
            call = await self._admission.admit(api, request, receive, arrival, caller)
        except CallerGone:
            return
        if isinstance(call, Refused):
            await self._refusals.refuse(
                send, arrival, api.shape, call.refusal, policy=caller.policy, revs=caller.revs, model=call.model
            )
            return
        await self._forwarder.forward(call, request, receive, send)
