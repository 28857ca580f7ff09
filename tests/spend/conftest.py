"""What tests of ingest and of questions ask for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from spend.consumer import DenialConsumer, UsageConsumer
from spend.ingest import store_usage
from spend.rollup import recount
from tenants.models import Tenant
from wire.config import Config
from wire.env import Env
from wire.events import DenialEvent, UsageEvent, encode
from wire.kv.stores import stores_of
from wire.queues.base import DENIALS, USAGE, Limits, Queue


class Queues:
    """The queues of a data folder of the test's own, as a gateway holds them, and consumers, which open their own."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._opened: list[Queue] = []
        self.usage = self._open(USAGE)
        self.denials = self._open(DENIALS)

    def send(self, *events: UsageEvent | DenialEvent) -> None:
        """Put events into the queue of their kind and environment, as a gateway does."""
        for event in events:
            queues = self.usage if isinstance(event, UsageEvent) else self.denials
            queues[event.env].send([encode(event)])

    def consume(self) -> None:
        """Take and count everything that is there."""
        for consumer in (self.usage_consumer(), self.denial_consumer()):
            while consumer.turn():
                pass
        while recount():
            pass

    def usage_consumer(self) -> UsageConsumer:
        return UsageConsumer(self._open(USAGE))

    def denial_consumer(self) -> DenialConsumer:
        return DenialConsumer(self._open(DENIALS))

    def close(self) -> None:
        for queue in self._opened:
            queue.close()

    def _open(self, kind: str) -> dict[str, Queue]:
        found = {env: self._config.open_queue(kind, env) for env in self._config.environments}
        self._opened += found.values()
        return found


@pytest.fixture
def queues(db: None, settings, tmp_path: Path) -> Iterator[Queues]:
    """Empty queues and KV of both environments. What is claimed and not acknowledged comes again at once."""
    limits = Limits(batch=1000, retries=5, visibility_seconds=0)
    known = settings.SPENDOPS
    stores = stores_of(Env({}), known.environments, data=tmp_path, production=False)
    settings.SPENDOPS = dataclasses.replace(known, data=tmp_path, stores=stores, limits=limits)
    with closing(Queues(settings.SPENDOPS)) as found:
        yield found


def tenant(tenant_id: str, zone: str = "UTC") -> Tenant:
    """A tenant in SQL, whose days are those of a zone."""
    return Tenant.objects.create(id=tenant_id, name=tenant_id, time_zone=zone)


def count(events: Sequence[UsageEvent]) -> None:
    """Store events and count their days, as a consumer does."""
    store_usage(events)
    while recount():
        pass
