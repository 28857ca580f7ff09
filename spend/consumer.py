"""The loop of a consumer process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from django.db import Error as DatabaseError
from django.db import close_old_connections

from spend.clickhouse.errors import ClickHouseError
from spend.ingest import Batch, claim_denials, claim_usage, store_denials, store_usage
from spend.models import DirtyDay
from spend.moving import follow_zones
from spend.rollup import recount
from spend.zones import Calendars
from wire.queues.base import Queue

logger = structlog.get_logger(__name__)

IDLE_SECONDS = 0.05
BACK_OFF_FIRST, BACK_OFF_MOST = 0.2, 10.0
# While events keep coming, recounts take at most a quarter of the time. A mark that somebody else set is found soon.
RECOUNT_LEAST, RECOUNT_SHARE = 0.25, 3
LOOK_FOR_MARKS_SECONDS = 2.0

_OUT_OF_REACH = (ClickHouseError, DatabaseError)


class Consumer:
    """Takes one kind of event from the queues of environments until it is told to stop."""

    def __init__(self, queues: Mapping[str, Queue]) -> None:
        """`queues` by the name of their environment."""
        self._queues = queues
        self._stop = threading.Event()

    def stop(self) -> None:
        """Finish what is in hand, then return from `run`."""
        self._stop.set()

    def run(self) -> None:
        """Work until stopped."""
        while not self._stop.is_set():
            if not self.turn():
                self._stop.wait(IDLE_SECONDS)

    def turn(self) -> bool:
        """One batch from each queue. Whether there was anything to do."""
        taken = [self._take(env, queue) for env, queue in self._queues.items()]
        return any(taken)

    def claim(self, queue: Queue, env: str) -> Batch[Any]:
        """Take a batch from a queue."""
        raise NotImplementedError

    def store(self, batch: Batch[Any]) -> None:
        """Make a batch's effect. It may be made several times."""
        raise NotImplementedError

    def persist(self, work: Callable[[], object], what: str) -> bool:
        """Do something until it succeeds, waiting longer and longer while ClickHouse or SQL does not answer.

        Returns False when the consumer was told to stop before it did. The batch stays in hand meanwhile: handing it
        back would only use up its deliveries, of which there are a limited number.
        """
        pause = BACK_OFF_FIRST
        while True:
            try:
                work()
            except _OUT_OF_REACH as error:
                logger.warning(f"cannot {what}; trying again", seconds=pause, error=str(error))
                close_old_connections()
                if self._stop.wait(pause):
                    return False
                pause = min(pause * 2, BACK_OFF_MOST)
            else:
                return True

    def _take(self, env: str, queue: Queue) -> bool:
        if self._stop.is_set():
            return False
        batch = self.claim(queue, env)
        if batch.events:
            if not self.persist(lambda: self.store(batch), "store events"):
                queue.release(batch.messages)
                return False
            queue.acknowledge(batch.messages)
        return bool(batch.events) or batch.buried > 0


class DenialConsumer(Consumer):
    """Denial events."""

    def claim(self, queue: Queue, env: str) -> Batch[Any]:
        return claim_denials(queue, env)

    def store(self, batch: Batch[Any]) -> None:
        store_denials(batch.events)


class UsageConsumer(Consumer):
    """Usage events, and the recount of the days that they are on."""

    def __init__(self, queues: Mapping[str, Queue]) -> None:
        super().__init__(queues)
        self._calendars = Calendars()
        self._dirty = True  # marks of an earlier life
        self._recount_from = float("-inf")  # not before
        self._look_from = float("-inf")

    def claim(self, queue: Queue, env: str) -> Batch[Any]:
        return claim_usage(queue, env)

    def store(self, batch: Batch[Any]) -> None:
        store_usage(batch.events, since_ms=batch.since_ms, calendars=self._calendars)
        self._dirty = True

    def turn(self) -> bool:
        busy = super().turn()
        now = time.monotonic()
        if now >= self._look_from and not self._stop.is_set():
            self.persist(self._look, "look for days to count")
        if self._dirty and now >= self._recount_from and not self._stop.is_set():
            self.persist(self._recount, "count days anew")
        return busy

    def _look(self) -> None:
        follow_zones()
        self._dirty = self._dirty or DirtyDay.objects.exists()
        self._look_from = time.monotonic() + LOOK_FOR_MARKS_SECONDS

    def _recount(self) -> None:
        began = time.monotonic()
        self._dirty = recount() > 0  # once more, until none is left: some may have come meanwhile
        ended = time.monotonic()
        self._recount_from = ended + max(RECOUNT_LEAST, RECOUNT_SHARE * (ended - began))
