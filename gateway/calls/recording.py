"""What is kept of a forwarded call: metered, priced, stored durably before its last byte goes."""

from __future__ import annotations

import time

from gateway.calls.call import Call, Ending
from gateway.estimate import estimated_units
from gateway.meter import Metered, meter
from gateway.metrics import Metrics
from gateway.missing import MissingModels
from gateway.outbox import Outbox, OutboxUnavailable
from wire.documents import SCHEMA, Missing
from wire.events import UsageEvent, UsageSource, encode
from wire.prices import tier_named
from wire.queues.base import USAGE


class Recorder:
    """Turns calls into usage events."""

    def __init__(self, outbox: Outbox, missing: MissingModels, metrics: Metrics, *, env: str) -> None:
        self._outbox = outbox
        self._missing = missing
        self._metrics = metrics
        self._env = env

    def begin(self, call: Call) -> Record:
        """The record of a call that is about to be forwarded."""
        return Record(self._outbox, self._missing, self._metrics, call, env=self._env)


class Record:
    """The one record of one forwarded call. `taken` says whether its event is on its way already."""

    def __init__(self, outbox: Outbox, missing: MissingModels, metrics: Metrics, call: Call, *, env: str) -> None:
        self._outbox = outbox
        self._missing = missing
        self._metrics = metrics
        self._call = call
        self._env = env
        self._before = time.perf_counter() - call.whole
        self.taken = False

    async def take(self, ending: Ending) -> Metered | None:
        """Meter the call and store its event; returns when it is durable, with None when it is not yet."""
        call = self._call
        now = time.perf_counter()
        metered = _metered(call, ending)
        call.slot.end(metered.units)
        policy = call.caller.policy
        event = UsageEvent(
            event_id=call.arrival.event_id,
            ts=call.arrival.ms,
            env=self._env,
            tenant=policy.tenant,
            project=policy.project,
            key=policy.key,
            end_user=call.put_down_to.end_user,
            tags=call.put_down_to.tags,
            tier=call.tier,
            route=call.api.path,
            provider=call.provider.name,
            # A call that has no price yet is priced later by its model's name, which a tier's is not.
            model_asked=call.asked if metered.model_priced else call.model,
            model_priced=metered.model_priced,
            units=metered.units,
            price_version=metered.price_version,
            override_version=metered.override_version,
            cost=metered.cost,
            charge=metered.charge,
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
        self.taken = True
        # Without a price book nothing is known to be missing from it.
        if metered.cost is None and call.book is not None:
            self._flag_missing(metered)
        try:
            await stored
        except OutboxUnavailable:
            return None
        finally:
            self._metrics.added(self._before + time.perf_counter() - now)
        return metered

    def _flag_missing(self, metered: Metered) -> None:
        call = self._call
        self._missing.flag(
            Missing(
                schema=SCHEMA,
                env=self._env,
                provider=call.provider.name,
                model=call.model,
                first_seen=call.arrival.ms,
                tenant=call.caller.policy.tenant,
                event_id=call.arrival.event_id,
            ),
            price_version=metered.price_version,
        )


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
        routed=call.provider.kind.routes or bool(call.body.get("models")),
        terms=call.terms,
        project=call.caller.policy.project,
    )
