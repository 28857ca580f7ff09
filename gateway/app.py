"""The ASGI program: what is made at the start, which path leads where, what is given back at the end."""

from __future__ import annotations

import structlog

from gateway.answers import send_json, send_whole
from gateway.apis.base import Api, Shape
from gateway.apis.chat import Chat
from gateway.apis.embeddings import Embeddings
from gateway.apis.messages import Messages
from gateway.apis.responses import Responses
from gateway.arrival import Arrival
from gateway.auth import Authenticator, Stranger
from gateway.calls.admission import Admission
from gateway.calls.calls import Calls
from gateway.calls.forwarding import Forwarder
from gateway.calls.recording import Recorder
from gateway.calls.routing import Routes
from gateway.catalogue import anthropic_list, models_for, openai_list, tiers_for
from gateway.config import Settings
from gateway.health import health
from gateway.incoming import Incoming, Message, Receive, Scope, Send
from gateway.lastknown import LastKnown
from gateway.limits import KeyLimits
from gateway.metrics import Metrics, may_scrape
from gateway.mirror import Mirror
from gateway.missing import MissingModels
from gateway.outbox import Outbox
from gateway.policies import Policies
from gateway.pricebook import Prices
from gateway.receipts import receipt
from gateway.refusals import Refusals, send_error
from gateway.rules import Refusal
from gateway.tenantprices import TenantPrices
from gateway.upstream import Upstream
from wire.events import Denied
from wire.queues.base import DENIALS, USAGE

log = structlog.get_logger(__name__)

APIS: tuple[Api, ...] = (Chat(), Responses(), Embeddings(), Messages())
_CALLS = {api.path: api for api in APIS}
_MODELS = "/v1/models"
_HEALTH = "/health"
_METRICS = "/metrics"


class Gateway:
    """One environment's gateway."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        shared = settings.shared
        self._policies = Policies()
        self._prices = Prices()
        tenant_prices = TenantPrices()
        self._mirror = Mirror(
            lambda: shared.open_kv(settings.env),
            (self._policies, self._prices, tenant_prices),
            env=settings.env,
            limit=settings.kv_stale,
            copy=LastKnown(settings.last_known, settings.env),
        )
        self._missing = MissingModels(lambda: shared.open_kv(settings.env))
        self._outbox = Outbox(lambda kind: shared.open_queue(kind, settings.env), (USAGE, DENIALS))
        self._upstream = Upstream(settings.timeouts)
        limiter = KeyLimits()
        self._metrics = Metrics(settings.env, (*_CALLS, _MODELS))
        self._metrics.watch(self._mirror, self._policies, self._prices, self._outbox)
        self._refusals = Refusals(self._outbox, settings.env, limiter=limiter, metrics=self._metrics)
        newest_first = [pepper for _, pepper in sorted(shared.peppers.items(), reverse=True)]
        self._auth = Authenticator(
            self._policies, self._mirror, env=settings.env, peppers=newest_first, behind_proxy=settings.behind_proxy
        )
        recorder = Recorder(self._outbox, self._missing, self._metrics, env=settings.env)
        self._routes = Routes(self._policies, settings.providers)
        self._calls = Calls(
            self._auth,
            Admission(
                settings,
                routes=self._routes,
                mirror=self._mirror,
                prices=self._prices,
                tenant_prices=tenant_prices,
                outbox=self._outbox,
                limiter=limiter,
            ),
            Forwarder(self._upstream, recorder, limiter, settings.timeouts),
            self._refusals,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        request = Incoming(scope)
        if request.path == _HEALTH:
            await self._answer_health(request, send)
        elif request.path == _METRICS:
            await self._answer_metrics(request, send)
        else:
            await self._counted(request, receive, send)

    async def _counted(self, request: Incoming, receive: Receive, send: Send) -> None:
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if not status:
                status = message["status"]
            await send(message)

        self._metrics.began()
        try:
            await self._answer(request, receive, noting)
        finally:
            self._metrics.ended(request.path, status)

    async def _answer(self, request: Incoming, receive: Receive, send: Send) -> None:
        api = _CALLS.get(request.path)
        if api is not None and request.method == "POST":
            await self._calls.answer(api, request, receive, send)
        elif api is not None:
            await self._wrong_method(request, api.shape, "POST", send)
        elif request.path == _MODELS and request.method == "GET":
            await self._answer_models(request, send)
        elif request.path == _MODELS:
            await self._wrong_method(request, _shape(request), "GET", send)
        else:
            await self._unlisted(request, send)

    # -- routes that are not forwarded -----------------------------------------------------------------------------

    async def _answer_health(self, request: Incoming, send: Send) -> None:
        report = health(self._settings, self._mirror, self._policies, self._prices, self._outbox)
        await send_json(send, report.http_status, report.body, receipt(request_id=Arrival.of(request).request_id))

    async def _answer_metrics(self, request: Incoming, send: Send) -> None:
        token = self._settings.metrics_token
        if not may_scrape(request, token, behind_proxy=self._settings.behind_proxy):
            message = (
                "Metrics need the token that is set as SPENDOPS_METRICS_TOKEN."
                if token
                else "Metrics are for this machine (behind a proxy, for nobody) until SPENDOPS_METRICS_TOKEN is set."
            )
            status, code = (401, "metrics_token") if token else (403, "metrics_local")
            await send_error(send, Shape.OPENAI, status, code, message, Arrival.of(request), stored=False)
            return
        content_type, body = self._metrics.exposition(request.header(b"accept"))
        await send_whole(send, 200, body, [(b"content-type", content_type)])

    async def _answer_models(self, request: Incoming, send: Send) -> None:
        arrival = Arrival.of(request)
        shape = _shape(request)
        caller = await self._auth.identify(request, arrival.ms)
        if isinstance(caller, Stranger):
            await self._refusals.turn_away(send, arrival, shape, caller)
            return
        book = self._prices.book
        models = models_for(caller.policy, book, self._settings.providers, shape)
        models += tiers_for(caller, self._routes, APIS, book, shape)
        body = anthropic_list(models) if shape is Shape.ANTHROPIC else openai_list(models)
        await send_json(send, 200, body, receipt(request_id=arrival.request_id))

    async def _wrong_method(self, request: Incoming, shape: Shape, method: str, send: Send) -> None:
        message = f"{request.path} answers to {method} only."
        await send_error(
            send, shape, 405, "method_not_allowed", message, Arrival.of(request), stored=False, allow=method
        )

    async def _unlisted(self, request: Incoming, send: Send) -> None:
        """A path that this gateway does not know is never forwarded: nobody would have checked or metered it."""
        arrival = Arrival.of(request)
        message = f"There is no {request.path[:200]} at this gateway."
        caller = await self._auth.identify(request, arrival.ms) if request.key else None
        if caller is None or isinstance(caller, Stranger):
            await send_error(send, _shape(request), 404, Denied.ROUTE_UNKNOWN.value, message, arrival, stored=False)
            return
        refusal = Refusal(Denied.ROUTE_UNKNOWN, message)
        await self._refusals.refuse(send, arrival, _shape(request), refusal, policy=caller.policy, revs=caller.revs)

    # -- life ------------------------------------------------------------------------------------------------------

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._mirror.load()
            self._mirror.start()
            self._outbox.start()
            await self._upstream.start()
        except Exception as error:  # said in one line by the server, which then ends
            log.error("The gateway cannot start", error=str(error))
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        log.info(
            "Ready",
            env=self._settings.env,
            port=self._settings.port,
            documents=len(self._policies),
            price_version=self._prices.version,
            kv_source=self._mirror.source,
            sandbox=sum(p.sandbox for p in self._settings.providers.values()),
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._upstream.close()
        await self._outbox.close(self._settings.timeouts.drain)
        await self._missing.close()
        await self._mirror.close()
        await send({"type": "lifespan.shutdown.complete"})


def _shape(request: Incoming) -> Shape:
    return Shape.ANTHROPIC if request.speaks_anthropic else Shape.OPENAI
