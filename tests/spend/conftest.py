"""What tests of ingest and of questions ask for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from spend.consumer import DenialConsumer, UsageConsumer
from spend.rollup import recount
from tenants.models import Tenant
from wire.events import DenialEvent, UsageEvent, encode
from wire.queues.base import DENIALS, USAGE, Limits
from wire.queues.embedded import EmbeddedQueue


class Queues:
    """The queues of a data folder of the test's own, and consumers of them."""

    def __init__(self, usage: dict[str, EmbeddedQueue], denials: dict[str, EmbeddedQueue]) -> None:
        self.usage = usage
        self.denials = denials

    def send(self, *events: UsageEvent | DenialEvent) -> None:
        """Put events into the queue of their kind and environment, as a gateway does."""
        for event in events:
            queues = self.usage if isinstance(event, UsageEvent) else self.denials
            queues[event.env].send([encode(event)])

    def consume(self) -> None:
        """Take and count everything that is there."""
        for consumer in (self.usage_consumer(), DenialConsumer(self.denials)):
            while consumer.turn():
                pass
        while recount():
            pass

    def usage_consumer(self) -> UsageConsumer:
        return UsageConsumer(self.usage)


@pytest.fixture
def queues(db: None, settings, tmp_path: Path) -> Iterator[Queues]:
    """Empty queues of both environments. What is claimed and not acknowledged comes again at once."""
    limits = Limits(batch=1000, retries=5, visibility_seconds=0)
    settings.SPENDOPS = dataclasses.replace(settings.SPENDOPS, data=tmp_path, limits=limits)
    opened = {
        kind: {env: settings.SPENDOPS.open_queue(kind, env) for env in settings.SPENDOPS.environments}
        for kind in (USAGE, DENIALS)
    }
    try:
        yield Queues(opened[USAGE], opened[DENIALS])
    finally:
        for each in [*opened[USAGE].values(), *opened[DENIALS].values()]:
            with closing(each):
                pass


def tenant(tenant_id: str, zone: str = "UTC") -> Tenant:
    """A tenant in SQL, whose days are those of a zone."""
    return Tenant.objects.create(id=tenant_id, name=tenant_id, time_zone=zone)


def count(events: Sequence[UsageEvent]) -> None:
    """Store events and count their days, as a consumer does."""
    from spend.ingest import store_usage

    store_usage(events)
    while recount():
        pass
