"""The loop of a consumer process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import structlog
from django.db import DatabaseError, close_old_connections

from spend.clickhouse.errors import ClickHouseError
from spend.ingest import Taken, take_denials, take_usage
from spend.models import DirtyDay
from spend.rollup import recount
from wire.queues.base import DENIALS, USAGE, Queue

logger = structlog.get_logger(__name__)

IDLE_SECONDS = 0.05
RECOUNT_SECONDS = 0.5  # how long a marked day may wait while events keep coming
BACK_OFF_FIRST, BACK_OFF_MOST = 0.2, 10.0

_TAKE: dict[str, Callable[[Queue], Taken]] = {USAGE: take_usage, DENIALS: take_denials}


class Consumer:
    """Takes one kind of event from the queues of all environments until it is told to stop."""

    def __init__(self, kind: str, queues: Sequence[Queue]) -> None:
        self._take = _TAKE[kind]
        self._recounts = kind == USAGE
        self._queues = queues
        self._stop = threading.Event()
        self._recounted_at = float("-inf")
        self._dirty = self._recounts  # marks of an earlier life

    def stop(self) -> None:
        """Finish what is in hand, then return from `run`."""
        self._stop.set()

    def run(self) -> None:
        """Work until stopped. When ClickHouse or SQL does not answer, wait longer and longer; messages stay queued."""
        pause = BACK_OFF_FIRST
        while not self._stop.is_set():
            try:
                busy = self.turn()
            except (ClickHouseError, DatabaseError) as error:
                logger.warning("cannot store events; trying again", seconds=pause, error=str(error))
                close_old_connections()
                self._stop.wait(pause)
                pause = min(pause * 2, BACK_OFF_MOST)
                continue
            pause = BACK_OFF_FIRST
            if not busy:
                self._stop.wait(IDLE_SECONDS)

    def turn(self) -> bool:
        """One batch from each queue, and a recount when it is due. Whether there was anything to do."""
        stored = 0
        for queue in self._queues:
            taken = self._take(queue)
            stored += taken.stored + taken.buried
        if self._recounts:
            self._dirty = self._dirty or stored > 0
            due = not stored or time.monotonic() - self._recounted_at >= RECOUNT_SECONDS
            if self._dirty and due:
                recount()
                self._dirty = DirtyDay.objects.exists()
                self._recounted_at = time.monotonic()
        return stored > 0
