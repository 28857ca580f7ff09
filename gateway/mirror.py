"""A copy of an environment's KV documents in memory, kept fresh by one thread that polls for changes.

The hot path reads memory only. When KV cannot be read, what was known last stays in force.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import structlog

from wire.kv.base import ReadableKV

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.02
STALE_SECONDS = 5.0
_REOPEN_AFTER = 50  # failed polls
Document = tuple[str, bytes | None]


class Reader(Protocol):
    """Somebody who keeps documents of certain keys."""

    prefixes: tuple[str, ...]

    def prepare(self, documents: Sequence[Document]) -> Callable[[], None] | None:
        """Take changed documents (None: deleted) in the polling thread; returns what to do on the event loop."""


class Mirror:
    """Polls one namespace and hands changed documents to readers."""

    def __init__(self, open_kv: Callable[[], ReadableKV], readers: Iterable[Reader]) -> None:
        self._open_kv = open_kv
        self._kv = open_kv()
        self._readers = tuple(readers)
        self._mark = 0
        self._fresh_at = time.monotonic()
        self._failures = 0
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._asked: deque[asyncio.Future[None]] = deque()
        self._thread = threading.Thread(target=self._poll_forever, name="kv-mirror", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def load(self) -> None:
        """Read everything once. Raises what the store raises: a gateway with no policy must not start."""
        self._mark = self._kv.changes(0).mark
        for reader in self._readers:
            for prefix in reader.prefixes:
                after = ""
                while True:
                    page = self._kv.list(prefix, after=after)
                    for apply in _prepared(reader, [(entry.key, entry.body) for entry in page.entries]):
                        apply()
                    after = page.after
                    if not after:
                        break
        self._fresh_at = time.monotonic()

    def start(self) -> None:
        """Begin to poll. Call it on the event loop that reads the documents."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def refresh(self) -> None:
        """Wait for a poll that begins after now, so that a document written before this call is known after it."""
        if self._loop is None or self._stop.is_set():
            return
        asked: asyncio.Future[None] = self._loop.create_future()
        self._asked.append(asked)
        self._wake.set()
        await asked

    @property
    def age(self) -> float:
        """Seconds since KV was last read."""
        return time.monotonic() - self._fresh_at

    @property
    def stale(self) -> bool:
        """Whether KV has not answered for so long that a missing document proves nothing."""
        return self.age > STALE_SECONDS or (self._failures > 0 and self.age > 10 * POLL_SECONDS)

    async def close(self) -> None:
        """Stop polling and give the store back."""
        self._stop.set()
        self._wake.set()
        await asyncio.to_thread(self._thread.join)
        self._kv.close()
        _answer(self._asked)

    def _poll_forever(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()
            asked = [self._asked.popleft() for _ in range(len(self._asked))]
            try:
                self._poll()
            except Exception as error:  # whatever the engine raises, the last known documents stay
                self._failed(error)
            if asked:
                self._tell(partial(_answer, asked))

    def _poll(self) -> None:
        changed = self._kv.changes(self._mark)
        if changed.keys:
            documents = [(key, self._kv.get(key)) for key in changed.keys]
            for reader in self._readers:
                mine = [each for each in documents if each[0].startswith(reader.prefixes)]
                for apply in _prepared(reader, mine):
                    self._tell(apply)
        self._mark = changed.mark
        self._fresh_at = time.monotonic()
        if self._failures:
            log.info("KV can be read again")
        self._failures = 0

    def _failed(self, error: Exception) -> None:
        if not self._failures:
            log.error("KV cannot be read; the last known documents stay in force", error=str(error))
        self._failures += 1
        if self._failures % _REOPEN_AFTER == 0:
            try:
                fresh = self._open_kv()
            except Exception:  # said above already
                return
            self._kv.close()
            self._kv = fresh
            self._mark = 0

    def _tell(self, callback: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)


def _prepared(reader: Reader, documents: list[Document]) -> list[Callable[[], None]]:
    """What a reader makes of documents. One that it cannot take is left out, so that all others are taken.

    It is said once for each rev: only documents that changed come here.
    """
    if not documents:
        return []
    try:
        apply = reader.prepare(documents)
    except Exception as error:  # whatever a document is, polling goes on and what was known last stays in force
        if len(documents) > 1:
            return [apply for each in documents for apply in _prepared(reader, [each])]
        log.error("A document cannot be taken; the last known one stays", document=documents[0][0], error=repr(error))
        return []
    return [apply] if apply is not None else []


def _answer(asked: Iterable[asyncio.Future[None]]) -> None:
    for each in asked:
        if not each.done():
            each.set_result(None)
