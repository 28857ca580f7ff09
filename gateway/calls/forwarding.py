"""A call on its way to the provider and its answer on the way back."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import structlog
from multidict import CIMultiDict

from gateway.answers import send_whole
from gateway.apis.base import NOTHING, UNREADABLE, Reading
from gateway.calls.call import CLIENT_CLOSED, Call, Ending
from gateway.calls.recording import Record, Recorder
from gateway.config import Timeouts
from gateway.estimate import text_bytes
from gateway.incoming import Incoming, Receive, Send
from gateway.limits import Limiter
from gateway.meter import Metered
from gateway.receipts import Headers, receipt, returned_headers, sent_headers
from gateway.refusals import send_error
from gateway.streaming import EventStream
from gateway.upstream import Answer, Stream, Upstream, UpstreamFailed
from gateway.watch import CallerWatch
from wire.events import Denied, Status

log = structlog.get_logger(__name__)

_UPSTREAM_ID_LONGEST = 128
_LIMITS = b"x-ratelimit-"
_UNRECORDED = "The provider answered, but the call cannot be recorded at present. Try again shortly."


class Forwarder:
    """Sends calls to providers and passes their answers on."""

    def __init__(self, upstream: Upstream, recorder: Recorder, limiter: Limiter, timeouts: Timeouts) -> None:
        self._upstream = upstream
        self._recorder = recorder
        self._limiter = limiter
        self._timeouts = timeouts

    async def forward(self, call: Call, request: Incoming, receive: Receive, send: Send) -> None:
        """Forward a call and answer it; whatever happens, one event is recorded of it."""
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
        record = self._recorder.begin(call)
        watch = CallerWatch(receive)
        try:
            await self._pass_on(call, record, headers, body, watch, send)
        except Exception:
            # A fault of our own, when the provider may have worked already: the call is kept, as an estimate.
            if not record.taken:
                await record.take(Ending(Status.INTERRUPTED, 500))
            raise
        finally:
            watch.stop()

    async def _pass_on(
        self, call: Call, record: Record, headers: CIMultiDict[str], body: bytes, watch: CallerWatch, send: Send
    ) -> None:
        try:
            answer = await self._upstream.post(call.provider.url(call.api), headers, body, stream=call.streamed)
        except UpstreamFailed as failure:
            watch.stop()
            await self._failed(call, record, failure, send)
            return
        except asyncio.CancelledError:
            await self._left(call, record, watch, send)
            return
        if answer.stream is None:
            watch.stop()
            await self._answer_whole(call, record, answer, send)
            return
        try:
            await self._answer_stream(call, record, answer, answer.stream, watch, send)
        finally:
            answer.stream.close()

    async def _left(self, call: Call, record: Record, watch: CallerWatch, send: Send) -> None:
        """The caller hung up, or this process must end, before the provider answered."""
        watch.stop()
        gone = watch.absorb()
        if gone:
            await record.take(Ending(Status.CANCELLED, CLIENT_CLOSED))
            return
        metered = await record.take(Ending(Status.INTERRUPTED, 503))
        message = "This gateway had to stop before the provider answered."
        await self._send_error(call, send, 503, "gateway_stopping", message, metered)

    async def _failed(self, call: Call, record: Record, failure: UpstreamFailed, send: Send) -> None:
        status = 504 if failure.timed_out else 502
        kind = Status.UNREACHABLE if failure.timed_out or not failure.reached else Status.INTERRUPTED
        log.warning(
            "A provider failed", provider=call.provider.name, code=failure.code, request_id=call.arrival.request_id
        )
        metered = await record.take(Ending(kind, status, used=failure.reached))
        await self._send_error(call, send, status, failure.code, failure.message, metered)

    async def _answer_whole(self, call: Call, record: Record, answer: Answer, send: Send) -> None:
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
        metered = await record.take(ending)
        if metered is None:
            await self._send_error(call, send, 503, Denied.OUTBOX_UNAVAILABLE.value, _UNRECORDED, metered)
        elif refused:
            log.error("A provider refused our credential", provider=call.provider.name)
            message = f"The provider {call.provider.name} refused this gateway's credential. Tell your administrator."
            await self._send_error(call, send, 502, "provider_credential_refused", message, metered, retry=False)
        else:
            headers = self._returned(call, answer) + self._receipt(call, metered)
            await send_whole(send, http_status, answer.body, headers)

    async def _answer_stream(
        self, call: Call, record: Record, answer: Answer, stream: Stream, watch: CallerWatch, send: Send
    ) -> None:
        """A stream: passed on as it comes, but its end mark and last byte wait until the call's event is stored."""
        reader = call.api.reader(hide_usage=call.hide_usage)
        events = EventStream(reader)
        broken: UpstreamFailed | None = None
        status: Status | None = None
        dropped = False  # the caller left, or this process must end
        try:
            headers = self._returned(call, answer) + self._receipt(call, None)
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
        metered = await record.take(ending)
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
        idle = self._timeouts.idle
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

    def _returned(self, call: Call, answer: Answer) -> Headers:
        """The provider's headers. Where the key has limits of its own, these stand in place of those of our account."""
        headers = returned_headers(answer.headers)
        limits = self._limiter.headers(call.caller.policy)
        return [*(each for each in headers if not each[0].startswith(_LIMITS)), *limits] if limits else headers

    def _receipt(self, call: Call, metered: Metered | None) -> Headers:
        return receipt(
            request_id=call.arrival.request_id,
            event_id=call.arrival.event_id,
            cost=metered.cost if metered else None,
            charge=metered.charge if metered else None,
            warnings=call.put_down_to.warnings,
            sandbox=call.provider.sandbox,
            selected=f"{call.provider.name}/{call.model}" if call.selected else "",
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
            charge=metered.charge if metered else None,
            sandbox=call.provider.sandbox,
            limits=self._limiter.headers(call.caller.policy),
        )


def _stream_status(reading: Reading) -> Status:
    """How a stream ended that the provider closed in good order. An error after some text leaves that text used."""
    if reading.failed:
        return Status.INTERRUPTED if reading.text_bytes else Status.ERROR
    if reading.complete or (reading.units is not None and reading.exact):
        return Status.OK
    return Status.INTERRUPTED


def _upstream_id(answer: Answer) -> str:
    """The provider's own id of the call. A header may hold any bytes, an event only text."""
    given = answer.headers.get("x-request-id") or answer.headers.get("request-id") or ""
    return given[:_UPSTREAM_ID_LONGEST].encode("ascii", "replace").decode()


def _json(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return raw.decode("utf-8", "replace")
