"""The loop of a consumer process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import structlog
from clickhouse_driver.errors import ErrorCodes
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.utils import timezone

from spend.clickhouse.errors import ClickHouseError, RefusedError
from spend.ingest import Batch, claim_denials, claim_usage, store_denials, store_usage
from spend.models import DirtyDay
from spend.moving import follow_zones
from spend.rollup import recount
from spend.zones import Calendars
from tenants.actions.use import LastUses, Use
from wire.events import UsageEvent
from wire.queues.base import Message, Queue

logger = structlog.get_logger(__name__)

IDLE_SECONDS = 0.05
BACK_OFF_FIRST, BACK_OFF_MOST = 0.2, 10.0
# While events keep coming, recounts take at most a quarter of the time; with a backlog, a tenth: what is counted is
# late then in any case, and least so when the queue is short again. A mark that somebody else set is found soon.
RECOUNT_LEAST, RECOUNT_SHARE, RECOUNT_SHARE_BEHIND = 0.25, 3, 9
AT_ONCE = 20_000  # events that are stored in one go, when so many wait
LOOK_FOR_MARKS_SECONDS = 2.0

REFUSED_SECONDS = 10  # until a message comes again that was refused for no fault of its own

_OUT_OF_REACH = (ClickHouseError, DatabaseError)
# Refusals that say something about the server and nothing about what was to be stored: the same as no answer.
_SERVER_NOT_READY = {
    ErrorCodes.UNKNOWN_DATABASE,
    ErrorCodes.UNKNOWN_TABLE,
    ErrorCodes.NO_SUCH_COLUMN_IN_TABLE,
    ErrorCodes.READONLY,
    ErrorCodes.TABLE_IS_READ_ONLY,
    ErrorCodes.NOT_ENOUGH_SPACE,
    ErrorCodes.TOO_MANY_PARTS,
    ErrorCodes.TOO_MANY_SIMULTANEOUS_QUERIES,
    497,  # not enough privileges
    516,  # authentication failed
}


class Consumer:
    """Takes one kind of event from the queues of environments until it is told to stop."""

    def __init__(self, queues: Mapping[str, Queue]) -> None:
        """`queues` by the name of their environment."""
        self._queues = queues
        self._stop = threading.Event()
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="claims")
        self._ahead: dict[str, Future[Batch[Any]]] = {}  # by environment: what was claimed while another was stored

    def stop(self) -> None:
        """Finish what is in hand, then return from `run`."""
        self._stop.set()

    def run(self) -> None:
        """Work until stopped."""
        try:
            while not self._stop.is_set():
                if not self.turn():
                    self._stop.wait(IDLE_SECONDS)
        finally:
            self._hand_back()
            self._aside.shutdown()

    def turn(self) -> bool:
        """One batch from each queue. Whether there was anything to do."""
        taken = [self._take(env, queue) for env, queue in self._queues.items()]
        return any(taken)

    def claim(self, queue: Queue, env: str) -> Batch[Any]:
        """Take a batch from a queue. Runs in a thread of its own at times, so it touches the queue and nothing else."""
        raise NotImplementedError

    def store(self, batch: Batch[Any]) -> None:
        """Make a batch's effect. It may be made several times."""
        raise NotImplementedError

    def persist(self, work: Callable[[], object], what: str) -> bool:
        """Do something until it succeeds, waiting longer and longer while ClickHouse or SQL does not answer.

        Returns False when the consumer was told to stop before it did. The batch stays in hand meanwhile: nothing else
        could be stored either. Raises RefusedError when ClickHouse answers, and will not have it.
        """
        pause = BACK_OFF_FIRST
        while True:
            try:
                work()
            except _OUT_OF_REACH as error:
                if isinstance(error, RefusedError) and error.code not in _SERVER_NOT_READY:
                    raise
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
        ahead = self._ahead.pop(env, None)
        batch = ahead.result() if ahead else self._claim(queue, env)
        if batch.more:  # while this one is stored, the next is claimed and read
            self._ahead[env] = self._aside.submit(self._claim, queue, env)
        if batch.events and not self._settle(queue, batch):
            return False
        return bool(batch.events) or batch.buried > 0

    def _claim(self, queue: Queue, env: str) -> Batch[Any]:
        """As many as are stored in one go. Each claim is a short one: gateways send into the same queue."""
        batch = self.claim(queue, env)
        while batch.more and len(batch.events) < AT_ONCE and not self._stop.is_set():
            batch = batch.joined(self.claim(queue, env))
        return batch

    def _hand_back(self) -> None:
        """Release what was claimed ahead and will not be stored by this consumer."""
        for env, ahead in self._ahead.items():
            if messages := ahead.result().messages:
                self._queues[env].release(messages)
        self._ahead.clear()

    def _settle(self, queue: Queue, batch: Batch[Any]) -> bool:
        """Store a batch and acknowledge it; False when the consumer was told to stop first.

        A batch that is refused is halved, down to the messages that are the reason.
        """
        parts, stored, refused = [batch], 0, list[tuple[Message, RefusedError]]()
        while parts:
            part = parts.pop()
            try:
                done = self.persist(partial(self.store, part), "store events")
            except RefusedError as error:
                if len(part.messages) == 1:
                    refused.append((part.messages[0], error))
                else:
                    parts += part.halves()
                continue
            if not done:
                left = [message for each in (part, *parts) for message in each.messages]
                queue.release(left + [message for message, _ in refused])
                return False
            queue.acknowledge(part.messages)
            stored += len(part.messages)
        for message, refusal in refused:
            _put_aside(queue, message, refusal, others_stored=stored > 0)
        return True


def _put_aside(queue: Queue, message: Message, error: RefusedError, *, others_stored: bool) -> None:
    """Bury a message that ClickHouse refuses, if it is the message's own fault: others of its batch were stored."""
    if others_stored and error.code != ErrorCodes.MEMORY_LIMIT_EXCEEDED:
        logger.error("message put aside: ClickHouse refuses it", message=message.id, why=str(error))
        queue.bury([message], f"refused: {error}")
    else:
        logger.error("message refused; it is tried again", message=message.id, seconds=REFUSED_SECONDS, why=str(error))
        queue.release([message], delay_seconds=REFUSED_SECONDS)


class DenialConsumer(Consumer):
    """Denial events."""

    def claim(self, queue: Queue, env: str) -> Batch[Any]:
        return claim_denials(queue, env)

    def store(self, batch: Batch[Any]) -> None:
        store_denials(batch.events)


class UsageConsumer(Consumer):
    """Usage events, and the recount of the days that they are on."""

    def __init__(self, queues: Mapping[str, Queue], *, counts: bool = True) -> None:
        """Without `counts` it stores and marks only: one that helps another, which counts for both."""
        super().__init__(queues)
        self._counts = counts
        self._calendars = Calendars()
        self._last_uses = LastUses()
        self._dirty = True  # marks of an earlier life
        self._recount_from = float("-inf")  # not before
        self._look_from = float("-inf")
        self._back_off = BACK_OFF_FIRST

    def claim(self, queue: Queue, env: str) -> Batch[Any]:
        return claim_usage(queue, env)

    def store(self, batch: Batch[Any]) -> None:
        store_usage(batch.events, since_ms=batch.since_ms, calendars=self._calendars)
        self._dirty = True
        self._try(partial(self._note_uses, batch.events), "note when keys were last used")

    def _note_uses(self, events: Sequence[UsageEvent]) -> None:
        latest: dict[tuple[str, str], int] = {}
        for each in events:
            used = (each.key, each.project)
            if each.ts > latest.get(used, 0):
                latest[used] = each.ts
        self._last_uses.note((Use(*used, ts) for used, ts in latest.items()), now=timezone.now())

    def turn(self) -> bool:
        busy = super().turn()
        if not self._counts:
            return busy
        now = time.monotonic()
        if now >= self._look_from and not self._stop.is_set():
            self._look_from = time.monotonic() + LOOK_FOR_MARKS_SECONDS
            self._try(self._look, "look for days to count")
        if self._dirty and now >= self._recount_from and not self._stop.is_set():
            self._recount()
        return busy

    def _look(self) -> None:
        follow_zones()
        self._dirty = self._dirty or DirtyDay.objects.exists()

    def _recount(self) -> None:
        began = time.monotonic()
        share = RECOUNT_SHARE_BEHIND if self._ahead else RECOUNT_SHARE
        if self._try(self._count, "count days anew"):
            self._back_off = BACK_OFF_FIRST
            wait = max(RECOUNT_LEAST, share * (time.monotonic() - began))
        else:
            wait = max(self._back_off, share * (time.monotonic() - began))
            self._back_off = min(self._back_off * 2, BACK_OFF_MOST)
        self._recount_from = time.monotonic() + wait

    def _count(self) -> None:
        self._dirty = recount() > 0  # once more, until none is left: some may have come meanwhile

    def _try(self, work: Callable[[], object], what: str) -> bool:
        """Do something once; whether it succeeded. Events are taken all the same: a later turn tries again."""
        try:
            work()
        except _OUT_OF_REACH as error:
            logger.error(f"cannot {what}; trying again later", error=str(error))
            close_old_connections()
            return False
        return True
