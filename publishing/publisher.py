"""The publisher: settles the outbox, drains each namespace, waits for the next commit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import structlog
from django.db import Error, close_old_connections, connection

from publishing import leases
from publishing.desired import settle
from publishing.drain import Drained, drain
from publishing.namespace import Namespace
from publishing.wake import Waker, waker
from wire.kv.base import KV

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0


class Publisher:
    """Publishes into the namespaces of some environments. Several may run: leases keep them out of each other's way."""

    def __init__(self, environments: Iterable[str], open_kv: Callable[[str], KV]) -> None:
        self.holder = leases.new_holder()
        self._namespaces = [Namespace(env, open_kv) for env in environments]

    def once(self) -> Drained:
        """Publish everything that is due now."""
        while settle():
            pass
        total = Drained()
        for namespace in self._namespaces:
            total = total.plus(drain(namespace, holder=self.holder))
        return total

    def run(self, stop: threading.Event) -> None:
        """Publish until told to stop: after each commit, and every second whatever happens."""
        waiting: Waker | None = None
        try:
            while not stop.is_set():
                try:
                    waiting = waiting or waker()
                    waiting.look()
                    self.once()
                    waiting.wait(SWEEP_SECONDS, stop)
                except Error as error:  # SQL is away or busy: nothing is lost, its rows wait
                    log.error("SQL cannot be used; trying again", error=str(error))
                    close_old_connections()
                    stop.wait(SWEEP_SECONDS)
        finally:
            if waiting is not None:
                waiting.close()
            self.close()
            connection.close()

    def close(self) -> None:
        """Close all namespaces."""
        for namespace in self._namespaces:
            namespace.close()
