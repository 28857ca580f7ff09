"""Everything that is checked before a call goes out."""

from __future__ import annotations

import time
from functools import partial

import msgspec

from gateway.apis.base import UNREADABLE, Api, Body
from gateway.arrival import Arrival
from gateway.attribution import attribution
from gateway.auth import Caller
from gateway.calls.call import Call, Refused
from gateway.calls.routing import NoRoute, Routes
from gateway.config import Settings
from gateway.estimate import expected_tokens
from gateway.incoming import BodyTooLarge, Incoming, Receive, read_body
from gateway.limits import Limiter
from gateway.mirror import Mirror
from gateway.outbox import Outbox
from gateway.pricebook import Prices
from gateway.refusals import MODEL_LONGEST
from gateway.rules import Asked, Refusal, block_refusal, model_refusal
from gateway.selecting import HEADER
from gateway.tenantprices import TenantPrices
from wire.events import Denied


class Admission:
    """Reads a request and decides whether it may be forwarded."""

    def __init__(
        self,
        settings: Settings,
        *,
        routes: Routes,
        mirror: Mirror,
        prices: Prices,
        tenant_prices: TenantPrices,
        outbox: Outbox,
        limiter: Limiter,
    ) -> None:
        self._settings = settings
        self._limiter = limiter
        self._routes = routes
        self._mirror = mirror
        self._prices = prices
        self._tenant_prices = tenant_prices
        self._outbox = outbox

    async def body(self, request: Incoming, receive: Receive) -> bytes | Refused:
        """A request's whole body, or why it is refused. Raises BodyTooSlow and CallerGone."""
        try:
            return await read_body(request, receive, self._settings.body_most, seconds=self._settings.timeouts.body)
        except BodyTooLarge:
            limit = self._settings.body_most // 2**20
            return Refused(
                Refusal(Denied.BODY_TOO_LARGE, f"The request is larger than {limit} MiB, the most taken here.")
            )

    async def newer_prices(self, caller: Caller) -> bool:
        """Look once more for prices when this key needs newer ones; returns whether that took any time."""
        if caller.policy.pricing.min_version <= self._prices.version:
            return False
        await self._mirror.refresh()
        return True

    def admit(
        self, api: Api, request: Incoming, raw: bytes, arrival: Arrival, caller: Caller, *, now: int
    ) -> Call | Refused:
        """The call that a known caller makes with a body, or why it is refused at a moment (Unix ms).

        It waits for nothing: the policy that is judged is the policy under which the call goes out. A call holds a slot
        of its key's limits, which is to be ended however the call ends.
        """
        whole = time.perf_counter()
        body, problem = _parsed(request, raw)
        asked = body.get("model", "") if not problem else ""
        refusal = block_refusal(caller.policy, caller.tenant, now=now)
        if refusal is not None:
            return Refused(refusal, asked)
        problem = problem or api.problem(body) or ""
        if problem:
            return Refused(Refusal(Denied.BODY_INVALID, problem), asked)
        book = self._prices.book
        route = self._routes.find(api, asked, request.header(HEADER), caller, book)
        if isinstance(route, NoRoute):
            return Refused(route.refusal, route.asked, route.revs)
        refusal = model_refusal(caller.policy, Asked(route.name, route.model, _substitutes(body)))
        if refusal is not None:
            return Refused(refusal, route.asked)
        if route.provider is None:
            refusal = Refusal(Denied.PROVIDER_UNKNOWN, f"The provider {route.name} is not set up here.")
            return Refused(refusal, route.asked)
        if caller.policy.pricing.min_version > (book.version if book else 0):
            refusal = Refusal(Denied.POLICY_UNAVAILABLE, "This key's prices have not arrived yet. Try again shortly.")
            return Refused(refusal, route.asked)
        if not self._outbox.ready:
            refusal = Refusal(Denied.OUTBOX_UNAVAILABLE, "Calls cannot be recorded at present. Try again shortly.")
            return Refused(refusal, route.asked)
        put_down_to = attribution(request, body, api.shape, caller.policy.tags)
        streamed = api.streamed(body)
        hide_usage = streamed and route.provider.kind.asks_usage and api.ask_usage(body)
        body["model"] = route.model
        # Last of all, so that a call that is refused for another reason uses up no limit.
        slot = self._limiter.take(caller.policy, partial(expected_tokens, body))
        if isinstance(slot, Refusal):
            return Refused(slot, route.asked)
        return Call(
            arrival=arrival,
            api=api,
            caller=caller,
            provider=route.provider,
            model=route.model,
            asked=route.asked,
            tier=route.tier,
            selected=route.selected,
            body=body,
            book=book,
            terms=self._tenant_prices.of(caller.policy.tenant),
            put_down_to=put_down_to,
            streamed=streamed,
            hide_usage=hide_usage,
            slot=slot,
            whole=whole,
        )


def _parsed(request: Incoming, raw: bytes) -> tuple[Body, str]:
    """The body as an object with a model ("" when only the header names a tier), or what is wrong with it."""
    encoding = request.header(b"content-encoding").lower()
    if encoding not in ("", "identity"):
        return {}, f"The body is compressed ({encoding[:20]}): send it as plain JSON."
    try:
        body = msgspec.json.decode(raw)
    except UNREADABLE as error:
        return {}, f"The body is not JSON: {error}."
    if not isinstance(body, dict):
        return {}, "The body must be a JSON object."
    model = body.get("model")
    if model in (None, "") and request.header(HEADER):
        return body | {"model": ""}, ""  # the tier says enough
    if not isinstance(model, str) or not model.strip():
        return {}, "The body must name a model, as a text in the field 'model'."
    if len(model) > MODEL_LONGEST or not model.isprintable():
        return {}, f"A model's name has {MODEL_LONGEST} printable characters at most."
    return body, ""


def _substitutes(body: Body) -> tuple[str, ...]:
    """Models that a router may use instead of the one asked for (OpenRouter's `models`)."""
    models = body.get("models")
    return tuple(model for model in models if isinstance(model, str)) if isinstance(models, list) else ()
