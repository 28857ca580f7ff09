"""The publisher: settles the outbox, drains each namespace, waits for the next commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress

import structlog
from django.conf import settings
from django.db import Error, close_old_connections, connection
from django.utils import timezone

from publishing import leases
from publishing.desired import settle
from publishing.drain import Drained, drain
from publishing.namespace import Namespace
from publishing.republish import republish_piece
from publishing.seeding import Seeding
from publishing.wake import Waker, waker
from wire.kv.stores import Store

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
STOP_SECONDS = 5.0
BREATH_SECONDS = 0.1


class Publisher:
    """Publishes into stores. Several may run: leases keep them out of each other's way."""

    def __init__(self, stores: Iterable[Store]) -> None:
        self.holder = leases.new_holder()
        self._namespaces = [Namespace(store) for store in stores]
        self._seeding = Seeding(dict.fromkeys(namespace.env for namespace in self._namespaces))

    @classmethod
    def of_settings(cls, environments: Iterable[str] | None = None) -> Publisher:
        """One for all stores that the configuration names, or for those of some environments."""
        named = settings.SPENDOPS.stores
        return cls([store for env in environments or named for store in named[env]])

    def once(self) -> Drained:
        """Publish everything that is due now, one namespace after the other."""
        while self._settle_some():
            pass
        total = Drained()
        for namespace in self._namespaces:
            total = total.plus(drain(namespace, holder=self.holder))
        return total

    def run(self, stop: threading.Event) -> None:
        """Publish until told to stop: after each commit, and every second whatever happens.

        Each namespace has a thread of its own, so that a store that is slow or dead holds no other one up.
        """
        drains = [_Drain(namespace, self.holder, stop) for namespace in self._namespaces]
        for each in drains:
            each.start()
        waiting: Waker | None = None
        try:
            while not stop.is_set():
                try:
                    waiting = waiting or waker()
                    waiting.look()
                    began = time.monotonic()
                    more = self._settle_some()
                    for each in drains:
                        each.due.set()
                    if more:  # whoever else writes gets a turn: SQLite gives none to those who wait
                        stop.wait(min(BREATH_SECONDS, time.monotonic() - began))
                    else:
                        waiting.wait(SWEEP_SECONDS, stop)
                except Error as error:  # SQL is away or busy: nothing is lost, its rows wait
                    log.error("SQL cannot be used; trying again", error=str(error))
                    _let_go_of_sql()
                    stop.wait(SWEEP_SECONDS)
        finally:
            stop.set()
            if waiting is not None:
                with suppress(Exception):  # nothing that ends is a reason not to end
                    waiting.close()
            for each in drains:
                each.due.set()
                each.join(STOP_SECONDS)  # one that still waits for its store dies with the process, which harms nothing
            connection.close()

    def _settle_some(self) -> bool:
        """What changed comes first; everything anew and new stores go on when there is nothing else."""
        return bool(settle()) or republish_piece() or self._seeding.piece()

    def close(self) -> None:
        """Close all namespaces."""
        for namespace in self._namespaces:
            namespace.close()


def _let_go_of_sql() -> None:
    """Give a connection back that may be broken: the next use opens another one."""
    try:
        close_old_connections()
    except Error as error:
        log.warning("A connection to SQL could not be closed", error=str(error))


class _Drain(threading.Thread):
    """Drains one namespace, whenever something may be due."""

    def __init__(self, namespace: Namespace, holder: str, stop: threading.Event) -> None:
        super().__init__(name=f"drain {namespace.name}", daemon=True)
        self.due = threading.Event()
        self._namespace = namespace
        self._holder = holder
        self._ending = stop

    def run(self) -> None:
        while not self._ending.is_set():
            self.due.clear()
            pause = SWEEP_SECONDS
            try:
                drain(self._namespace, holder=self._holder)
                pause = self._pause()
            except Error as error:
                log.error("SQL cannot be used; trying again", namespace=self._namespace.name, error=str(error))
                _let_go_of_sql()
            except Exception:  # an error of ours in one namespace is no reason to leave the others without a publisher
                log.exception("Draining failed; trying again", namespace=self._namespace.name)
                self._namespace.close()
                self._ending.wait(SWEEP_SECONDS)
            self.due.wait(pause)
        self._namespace.close()
        connection.close()

    def _pause(self) -> float:
        until = leases.state_of(self._namespace.name).paused_until
        left = (until - timezone.now()).total_seconds() if until else SWEEP_SECONDS
        return min(SWEEP_SECONDS, max(left, 0.01))
