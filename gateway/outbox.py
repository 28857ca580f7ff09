"""Events on their way to the queues: committed in groups by one writer thread, awaited by the calls they belong to."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from wire.queues.base import Queue

log = structlog.get_logger(__name__)

GROUP_MOST = 1000
PENDING_MOST = 20_000
_RETRY_FIRST, _RETRY_MOST = 0.1, 1.0
_STORED = "stored"


class OutboxUnavailable(Exception):
    """The event could not be stored yet. It is kept in memory and tried again."""


class _Item(NamedTuple):
    kind: str  # the queue: `wire.queues.base.USAGE` or `DENIALS`
    body: bytes
    stored: asyncio.Future[str]


class Outbox:
    """Group commit: whatever waits when the writer is free goes into one durable transaction a queue.

    While events cannot be written, `ready` is False and calls are refused before they are forwarded. Events of calls
    that were already under way stay in memory and are tried again until the process ends.
    """

    def __init__(self, open_queue: Callable[[str], Queue], kinds: Sequence[str]) -> None:
        self._queues = {kind: open_queue(kind) for kind in kinds}
        self._waiting: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._pending = 0  # changed on the event loop only
        self._healthy = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write_forever, name="outbox", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the writer. Call it on the event loop that will put events."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether a call may be forwarded, knowing that its event will be stored."""
        return self._healthy and self._pending < PENDING_MOST

    @property
    def pending(self) -> int:
        """Events that wait to be stored."""
        return self._pending

    def put(self, kind: str, body: bytes) -> asyncio.Future[str]:
        """Hand over an event. The future ends when it is durably stored, or with OutboxUnavailable as soon as that
        cannot be done at once; the event is then still kept."""
        if self._loop is None:
            raise RuntimeError("The outbox was not started.")
        stored: asyncio.Future[str] = self._loop.create_future()
        # A caller that went away awaits nothing: an error that nobody picks up is no news.
        stored.add_done_callback(_seen)
        self._pending += 1
        self._waiting.put(_Item(kind, body, stored))
        if not self._healthy:
            _refuse_one(stored)
        return stored

    async def close(self, seconds: float) -> None:
        """Store what waits, for so many seconds at most, and stop the writer."""
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join, seconds)
        if self._thread.is_alive():
            self._stopping.set()
            await asyncio.to_thread(self._thread.join)
        if self._pending:
            log.error("Events were lost: they could not be stored before the process ended", events=self._pending)

    def _write_forever(self) -> None:
        waiting: dict[str, list[_Item]] = {kind: [] for kind in self._queues}
        wait, last = _RETRY_FIRST, False
        while not last or any(waiting.values()):
            last = self._collect(waiting, wait_for_one=not any(waiting.values())) or last
            error = self._write(waiting)
            if error is None:
                wait = _RETRY_FIRST
                continue
            last = self._collect(waiting, wait_for_one=False) or last
            self._failed([item for items in waiting.values() for item in items], error)
            if self._stopping.wait(wait):
                break
            wait = min(wait * 2, _RETRY_MOST)
        for each in self._queues.values():
            each.close()

    def _collect(self, waiting: dict[str, list[_Item]], *, wait_for_one: bool) -> bool:
        """Take what was put. Returns whether the outbox was told to close."""
        taken, last = 0, False
        while taken < GROUP_MOST and (wait_for_one or not self._waiting.empty()):
            item = self._waiting.get()
            wait_for_one = False
            if item is None:
                last = True
            else:
                waiting[item.kind].append(item)
                taken += 1
        return last

    def _write(self, waiting: dict[str, list[_Item]]) -> Exception | None:
        """One transaction a queue. Returns what went wrong, if anything did; those events wait on."""
        failure: Exception | None = None
        for kind, items in waiting.items():
            if not items:
                continue
            try:
                self._queues[kind].send([item.body for item in items])
            except Exception as error:  # whatever the engine raises, the events must not be dropped
                failure = error
            else:
                self._tell(self._resolve, items)
                waiting[kind] = []
        if failure is None and not self._healthy:
            self._healthy = True
            log.info("Events can be stored again")
        return failure

    def _failed(self, items: list[_Item], error: Exception) -> None:
        if self._healthy:
            log.error("Events cannot be stored; calls are refused until they can", error=str(error), events=len(items))
        self._healthy = False
        self._tell(_refuse, items)

    def _tell(self, callback: Callable[[list[_Item]], None], items: list[_Item]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, items)

    def _resolve(self, items: list[_Item]) -> None:
        self._pending -= len(items)
        for item in items:
            if not item.stored.done():
                item.stored.set_result(_STORED)


def _refuse(items: list[_Item]) -> None:
    for item in items:
        _refuse_one(item.stored)


def _refuse_one(stored: asyncio.Future[str]) -> None:
    if not stored.done():
        stored.set_exception(OutboxUnavailable("The call's event cannot be stored at present."))


def _seen(stored: asyncio.Future[str]) -> None:
    if not stored.cancelled():
        stored.exception()
