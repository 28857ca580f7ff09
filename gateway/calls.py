"""One call from its arrival to its last byte: who, what, may it, forward, meter, store, answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

import msgspec
import structlog

from gateway.answers import send_whole
from gateway.apis.base import NOTHING, Api, Body, Reading
from gateway.arrival import Arrival
from gateway.attribution import Attribution, attribution
from gateway.auth import Authenticator, Caller, Stranger
from gateway.config import Settings
from gateway.estimate import estimated_units, text_bytes
from gateway.incoming import BodyTooLarge, CallerGone, Incoming, Receive, Send, read_body
from gateway.meter import Metered, meter
from gateway.mirror import Mirror
from gateway.missing import MissingModels
from gateway.outbox import Outbox, OutboxUnavailable
from gateway.pricebook import Prices
from gateway.providers.base import Provider
from gateway.providers.registry import choose
from gateway.receipts import receipt, returned_headers, sent_headers
from gateway.refusals import MODEL_LONGEST, Refusals, send_error
from gateway.rules import Asked, Refusal, block_refusal, model_refusal
from gateway.streaming import EventStream
from gateway.upstream import Answer, Stream, Upstream, UpstreamFailed
from gateway.watch import CallerWatch
from wire.documents import SCHEMA, Missing
from wire.events import Denied, Status, UsageEvent, UsageSource, encode
from wire.prices import PriceBook, tier_named
from wire.queues.base import USAGE

log = structlog.get_logger(__name__)

CLIENT_CLOSED = 499  # what is noted of a call whose caller left before any answer (nginx's convention)
_UPSTREAM_ID_LONGEST = 128


class Call(NamedTuple):
    """A call that may be forwarded."""

    arrival: Arrival
    api: Api
    caller: Caller
    provider: Provider
    model: str  # as the provider names it
    body: Body
    book: PriceBook | None  # taken once: the call is priced by this book whatever is published meanwhile
    put_down_to: Attribution
    streamed: bool
    hide_usage: bool


class Ending(NamedTuple):
    """How a forwarded call ended."""

    status: Status
    http_status: int  # what the caller was answered
    reading: Reading = NOTHING
    used: bool = True  # whether the provider worked on it; an error of its own costs nothing
    generated_bytes: int = 0  # text that came back without a usage block
    began: float = 0.0  # perf_counter of the first byte; 0 when none came
    upstream_request_id: str = ""


class Calls:
    """Answers the calls that are forwarded to providers."""

    def __init__(
        self,
        settings: Settings,
        *,
        auth: Authenticator,
        mirror: Mirror,
        prices: Prices,
        missing: MissingModels,
        outbox: Outbox,
        upstream: Upstream,
        refusals: Refusals,
    ) -> None:
        self._settings = settings
        self._auth = auth
        self._mirror = mirror
        self._prices = prices
        self._missing = missing
        self._outbox = outbox
        self._upstream = upstream
        self._refusals = refusals

    async def answer(self, api: Api, request: Incoming, receive: Receive, send: Send) -> None:
        """Answer one call."""
        arrival = Arrival.of(request)
        caller = await self._auth.identify(request, arrival.ms)
        if isinstance(caller, Stranger):
            await self._refusals.refuse(
                send,
                arrival,
                api.shape,
                caller.refusal,
                policy=caller.policy,
                public_id=caller.public_id,
                revs=caller.revs,
            )
            return
        try:
            call, model = await self._admit(api, request, receive, arrival, caller)
        except CallerGone:
            return
        if isinstance(call, Refusal):
            await self._refusals.refuse(
                send, arrival, api.shape, call, policy=caller.policy, revs=caller.revs, model=model
            )
            return
        await self._forward(call, request, receive, send)

    async def _admit(
        self, api: Api, request: Incoming, receive: Receive, arrival: Arrival, caller: Caller
    ) -> tuple[Call | Refusal, str]:
        """Everything that is checked before a call goes out, and the model it asked for. Raises CallerGone."""
        try:
            body, problem = _parsed(request, await read_body(request, receive, self._settings.body_most))
        except BodyTooLarge:
            limit = self._settings.body_most // 2**20
            return Refusal(Denied.BODY_TOO_LARGE, f"The request is larger than {limit} MiB, the most taken here."), ""
        asked = body.get("model", "") if not problem else ""
        refusal = block_refusal(caller.policy, caller.tenant, now=arrival.ms)
        if refusal is not None:
            return refusal, asked
        problem = problem or api.problem(body) or ""
        if problem:
            return Refusal(Denied.BODY_INVALID, problem), asked
        book = await self._book(caller)
        choice = choose(api, asked, self._settings.providers, book)
        refusal = model_refusal(caller.policy, Asked(choice.name, choice.model, _substitutes(body)))
        if refusal is not None:
            return refusal, choice.model
        if choice.provider is None:
            return Refusal(Denied.PROVIDER_UNKNOWN, f"The provider {choice.name} is not set up here."), choice.model
        if caller.policy.pricing.min_version > (book.version if book else 0):
            return Refusal(
                Denied.POLICY_UNAVAILABLE, "This key's prices have not arrived yet. Try again shortly."
            ), asked
        if not self._outbox.ready:
            return Refusal(Denied.OUTBOX_UNAVAILABLE, "Calls cannot be recorded at present. Try again shortly."), asked
        put_down_to = attribution(request, body, api.shape, caller.policy.tags)
        streamed = api.streamed(body)
        hide_usage = streamed and choice.provider.kind.asks_usage and api.ask_usage(body)
        body["model"] = choice.model
        return (
            Call(arrival, api, caller, choice.provider, choice.model, body, book, put_down_to, streamed, hide_usage),
            choice.model,
        )

    async def _book(self, caller: Caller) -> PriceBook | None:
        """The prices in force, looked for once more when this key needs newer ones."""
        if caller.policy.pricing.min_version > self._prices.version:
            await self._mirror.refresh()
        return self._prices.book

    # -- forwarding ----------------------------------------------------------------------------------------------

    async def _forward(self, call: Call, request: Incoming, receive: Receive, send: Send) -> None:
        given = frozenset(name.decode("latin-1") for name, _ in request.headers)
        headers = sent_headers(
            request.headers,
            call.provider.headers(call.api, given),
            request_id=call.arrival.request_id,
            sandbox=call.provider.sandbox,
        )
        # Written anew from what was checked: a name that stands twice in a body cannot mean one thing here and
        # another at the provider.
        body = msgspec.json.encode(call.body)
        watch = CallerWatch(receive)
        try:
            answer = await self._upstream.post(call.provider.url(call.api), headers, body, stream=call.streamed)
        except UpstreamFailed as failure:
            watch.stop()
            await self._failed(call, failure, send)
            return
        except asyncio.CancelledError:
            await self._left(call, watch, send)
            return
        if answer.stream is None:
            watch.stop()
            await self._answer_whole(call, answer, send)
            return
        try:
            await self._answer_stream(call, answer, answer.stream, watch, send)
        finally:
            watch.stop()
            answer.stream.close()

    async def _left(self, call: Call, watch: CallerWatch, send: Send) -> None:
        """The caller hung up, or this process must end, before the provider answered."""
        watch.stop()
        gone = watch.absorb()
        if gone:
            await self._record(call, Ending(Status.CANCELLED, CLIENT_CLOSED))
            return
        metered = await self._record(call, Ending(Status.INTERRUPTED, 503))
        message = "This gateway had to stop before the provider answered."
        await self._send_error(call, send, 503, "gateway_stopping", message, metered)

    async def _failed(self, call: Call, failure: UpstreamFailed, send: Send) -> None:
        status = 504 if failure.timed_out else 502
        kind = Status.UNREACHABLE if failure.timed_out or not failure.reached else Status.INTERRUPTED
        log.warning(
            "A provider failed", provider=call.provider.name, code=failure.code, request_id=call.arrival.request_id
        )
        metered = await self._record(call, Ending(kind, status, used=failure.reached))
        await self._send_error(call, send, status, failure.code, failure.message, metered)

    async def _answer_whole(self, call: Call, answer: Answer, send: Send) -> None:
        """A plain answer: metered and stored before its first byte goes, so that its cost stands in the headers."""
        refused = answer.status == 401  # of our credential, which is none of the caller's doing
        http_status = 502 if refused else answer.status
        good = answer.status < 400
        reading = call.api.read(answer.body) if good else NOTHING
        ending = Ending(
            Status.OK if good and not reading.failed else Status.ERROR,
            http_status,
            reading,
            used=good and not (reading.failed and reading.units is None),
            generated_bytes=text_bytes(_json(answer.body)) if good and reading.units is None else 0,
            began=answer.began,
            upstream_request_id=_upstream_id(answer),
        )
        metered = await self._record(call, ending)
        if metered is None:
            await self._send_error(call, send, 503, Denied.OUTBOX_UNAVAILABLE.value, _UNRECORDED, metered)
        elif refused:
            log.error("A provider refused our credential", provider=call.provider.name)
            message = f"The provider {call.provider.name} refused this gateway's credential. Tell your administrator."
            await self._send_error(call, send, 502, "provider_credential_refused", message, metered, retry=False)
        else:
            headers = returned_headers(answer.headers) + self._receipt(call, metered.cost)
            await send_whole(send, http_status, answer.body, headers)

    async def _answer_stream(self, call: Call, answer: Answer, stream: Stream, watch: CallerWatch, send: Send) -> None:
        """A stream: passed on as it comes, but its end mark and last byte wait until the call's event is stored."""
        reader = call.api.reader(hide_usage=call.hide_usage)
        events = EventStream(reader)
        broken: UpstreamFailed | None = None
        status: Status | None = None
        dropped = False  # the caller left, or this process must end
        try:
            headers = returned_headers(answer.headers) + self._receipt(call, None)
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._relay(stream, events, send)
        except UpstreamFailed as failure:
            broken = failure
            status = Status.INTERRUPTED
        except TimeoutError:  # the caller stopped reading
            status = Status.CANCELLED
            dropped = True
        except asyncio.CancelledError:
            status = Status.CANCELLED if watch.absorb() else Status.INTERRUPTED
            dropped = True
        watch.stop()
        reading = reader.reading()
        if status is None:
            status = _stream_status(reading)
            if status is Status.INTERRUPTED and not reading.failed:
                broken = UpstreamFailed("upstream_interrupted", "The provider's stream broke off.", reached=True)
        failed_whole = status is Status.ERROR and reading.units is None
        ending = Ending(
            status,
            200,
            reading,
            used=not failed_whole,
            generated_bytes=reading.text_bytes,
            began=answer.began,
            upstream_request_id=_upstream_id(answer),
        )
        metered = await self._record(call, ending)
        if dropped or metered is None:
            return  # left unfinished, so that the server drops the connection: nobody takes the answer for whole
        last = events.held
        if broken is not None:
            log.warning("A stream broke off", provider=call.provider.name, request_id=call.arrival.request_id)
            last = call.api.broken(broken.code, broken.message)
        await send({"type": "http.response.body", "body": last})
        if broken is None:
            await stream.finish()

    async def _relay(self, stream: Stream, events: EventStream, send: Send) -> None:
        """Pass a stream on up to its end mark or end. Raises UpstreamFailed; TimeoutError when the caller stalls."""
        clock = asyncio.get_running_loop().time
        idle = self._settings.timeouts.idle
        async with asyncio.timeout(None) as limit:
            while True:
                part = await stream.part()
                out = events.feed(part) if part else events.finish()
                if out:
                    limit.reschedule(clock() + idle)
                    await send({"type": "http.response.body", "body": out, "more_body": True})
                    limit.reschedule(None)
                if events.ended or not part:
                    return

    # -- recording -----------------------------------------------------------------------------------------------

    async def _record(self, call: Call, ending: Ending) -> Metered | None:
        """Meter a forwarded call and store its event; returns when it is durable, with None when it is not yet."""
        metered = _metered(call, ending)
        now = time.perf_counter()
        policy = call.caller.policy
        event = UsageEvent(
            event_id=call.arrival.event_id,
            ts=call.arrival.ms,
            env=self._settings.env,
            tenant=policy.tenant,
            project=policy.project,
            key=policy.key,
            end_user=call.put_down_to.end_user,
            tags=call.put_down_to.tags,
            tier=policy.tier,
            route=call.api.path,
            provider=call.provider.name,
            model_asked=call.model,
            model_priced=metered.model_priced,
            units=metered.units,
            price_version=metered.price_version,
            cost=metered.cost,
            charge=metered.cost,
            usage_source=metered.source,
            service_tier=tier_named(ending.reading.service_tier, ending.reading.speed),
            credential=call.provider.credential,
            upstream_request_id=ending.upstream_request_id,
            status=ending.status,
            http_status=ending.http_status,
            ttfb_ms=call.arrival.since(ending.began or now),
            duration_ms=call.arrival.since(now),
            streamed=call.streamed,
            request_id=call.arrival.request_id,
        )
        stored = self._outbox.put(USAGE, encode(event))
        if not metered.known and ending.status is Status.OK:
            self._flag_missing(call)
        try:
            # A process that is told to end does not leave before the event is stored.
            await asyncio.shield(stored)
        except OutboxUnavailable:
            return None
        return metered

    def _flag_missing(self, call: Call) -> None:
        self._missing.flag(
            Missing(
                schema=SCHEMA,
                env=self._settings.env,
                provider=call.provider.name,
                model=call.model,
                first_seen=call.arrival.ms,
                tenant=call.caller.policy.tenant,
                event_id=call.arrival.event_id,
            ),
            price_version=self._prices.version,
        )

    def _receipt(self, call: Call, cost: str | None) -> list[tuple[bytes, bytes]]:
        return receipt(
            request_id=call.arrival.request_id,
            event_id=call.arrival.event_id,
            cost=cost,
            warnings=call.put_down_to.warnings,
            sandbox=call.provider.sandbox,
        )

    async def _send_error(
        self,
        call: Call,
        send: Send,
        status: int,
        code: str,
        message: str,
        metered: Metered | None,
        *,
        retry: bool | None = None,
    ) -> None:
        await send_error(
            send,
            call.api.shape,
            status,
            code,
            message,
            call.arrival,
            retry=retry,
            cost=metered.cost if metered else None,
            sandbox=call.provider.sandbox,
        )


_UNRECORDED = "The provider answered, but the call cannot be recorded at present. Try again shortly."


def _parsed(request: Incoming, raw: bytes) -> tuple[Body, str]:
    """The body as an object with a model, or what is wrong with it."""
    encoding = request.header(b"content-encoding").lower()
    if encoding not in ("", "identity"):
        return {}, f"The body is compressed ({encoding[:20]}): send it as plain JSON."
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return {}, f"The body is not JSON: {error}."
    if not isinstance(body, dict):
        return {}, "The body must be a JSON object."
    model = body.get("model")
    if not isinstance(model, str) or not model.strip():
        return {}, "The body must name a model, as a text in the field 'model'."
    if len(model) > MODEL_LONGEST or not model.isprintable():
        return {}, f"A model's name has {MODEL_LONGEST} printable characters at most."
    return body, ""


def _substitutes(body: Body) -> tuple[str, ...]:
    """Models that a router may use instead of the one asked for (OpenRouter's `models`)."""
    models = body.get("models")
    return tuple(model for model in models if isinstance(model, str)) if isinstance(models, list) else ()


def _metered(call: Call, ending: Ending) -> Metered:
    """What a call used: the provider's count, an honest estimate where there is none, nothing where nothing was used.

    An answer that is an error of the provider's own has no units at all, not even the request, so that it costs
    nothing whatever the model's prices are.
    """
    reading = ending.reading
    source = UsageSource.PROVIDER
    units: dict[str, int] = {}
    if ending.used and reading.units is not None and reading.exact:
        units = reading.units
    elif ending.used:
        source = UsageSource.ESTIMATED
        units = estimated_units(reading.units, call.body, ending.generated_bytes)
    return meter(
        call.book,
        provider=call.provider.name,
        asked=call.model,
        reading=reading,
        units=units,
        source=source,
        at_ms=call.arrival.ms,
    )


def _stream_status(reading: Reading) -> Status:
    """How a stream ended that the provider closed in good order. An error after some text leaves that text used."""
    if reading.failed:
        return Status.INTERRUPTED if reading.text_bytes else Status.ERROR
    if reading.complete or (reading.units is not None and reading.exact):
        return Status.OK
    return Status.INTERRUPTED


def _upstream_id(answer: Answer) -> str:
    given = answer.headers.get("x-request-id") or answer.headers.get("request-id") or ""
    return given[:_UPSTREAM_ID_LONGEST]


def _json(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return raw.decode("utf-8", "replace")
