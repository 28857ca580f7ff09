"""A copy of an environment's KV documents in memory, kept fresh by one thread that looks for changes.

The hot path reads memory only. When KV cannot be read, or has lost what it held, what was known last stays in force:

- A document is forgotten when the store remembers its deletion. One that the store merely knows nothing of, or holds at
  an older rev, as after it was emptied, restored or exchanged, stays until the limit of age has passed since all was in
  order; until then the publisher has written anew what should be there.
- A namespace that lost its `meta:env`, or has that of another environment, is not read at all.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import msgspec
import structlog

from gateway.clock import Clock
from gateway.keeper import Keeper
from gateway.lastknown import LastKnown
from wire.documents import META_ENV
from wire.kv.base import Entry, ReadableKV, StoreUnavailableError

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.02  # where the store does not tell by itself
LISTENING_SECONDS = 0.5  # where it does, and might have been missed
STALE_SECONDS = 5.0
PIECE = 500  # documents that are read, and handed over, at once
DOUBT_LEAST = 60.0  # seconds that a store that was emptied has to be filled again, however short the limit of age is
_RETRY_MOST = 1.0
_SETTLE_SECONDS = 1.0  # between two looks for doubts that are over
_REOPEN_AFTER = 5  # times that a store was out of reach
_REOPEN_ANYWAY = 10  # failures of another kind, which a new connection seldom ends
Document = tuple[str, bytes | None]


class NamespaceLostError(Exception):
    """The namespace answers, but is not, or not any more, the one that this environment's documents are in."""


class Reader(Protocol):
    """Somebody who keeps documents of certain keys."""

    prefixes: tuple[str, ...]

    def prepare(self, documents: Sequence[Document]) -> Callable[[], None] | None:
        """Take changed documents (None: deleted) in the mirror's thread; returns what to do on the event loop."""


class Mirror:
    """Reads one namespace and hands changed documents to readers.

    `limit` is how many seconds calls may go on without KV; 0: not at all.
    """

    def __init__(
        self,
        open_kv: Callable[[], ReadableKV],
        readers: Iterable[Reader],
        *,
        env: str,
        limit: float,
        copy: LastKnown,
        clock: Clock | None = None,
    ) -> None:
        self._open_kv = open_kv
        self._readers = tuple(readers)
        self._prefixes = tuple(dict.fromkeys(prefix for reader in self._readers for prefix in reader.prefixes))
        self._env = env
        self._limit = limit
        self._clock = clock or Clock()
        self._keeper = Keeper(copy, self._clock)

        # What is known. Only the thread changes it.
        self._revs: dict[str, int] = {}
        self._doubted: dict[str, float] = {}  # documents that the store does not confirm, and until when they hold
        self._settled_at = -math.inf
        self._claimed = False  # whether `meta:env` was seen
        self._contact_at = -math.inf  # when the store last answered, by the clock's `elapsed`
        self._good_at = -math.inf  # when all that it holds was last known here

        # Where the thread stands.
        self._kv: ReadableKV | None = None
        self._listening = False
        self._epoch: str | None = None
        self._ended: dict[str, int] = {}  # the revs of deletions
        self._mark = 0
        self._compare = True  # whether everything is to be held against the store, and not only what changed
        self._left: deque[str] = deque()  # changed documents that are still to be read
        self._failures = 0
        self._problem = ""
        self.failed_reads = 0

        self._wake = threading.Event()
        self._stop = threading.Event()
        self._asked: deque[asyncio.Future[None]] = deque()
        self._thread = threading.Thread(target=self._look_forever, name="kv-mirror", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- for the event loop ----------------------------------------------------------------------------------------

    def load(self) -> None:
        """Read everything once, from the local copy first and then from KV.

        Raises what the store raises when there is no copy either: a gateway with no policy must not start.
        """
        known = self._load_copy()
        try:
            self._look()
        except Exception as error:
            if not known:
                raise
            self._failed(error)

    def start(self) -> None:
        """Begin to look for changes. Call it on the event loop that reads the documents."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def refresh(self) -> None:
        """Wait for a look that begins after now, so that a document written before this call is known after it."""
        if self._loop is None or self._stop.is_set() or self.stale:
            return
        asked: asyncio.Future[None] = self._loop.create_future()
        self._asked.append(asked)
        self._wake.set()
        await asked

    @property
    def age(self) -> float:
        """Seconds since KV last answered, or was last read whole when it cannot be; infinite when that is not known."""
        return self._clock.elapsed() - (self._good_at if self._failures > 1 else self._contact_at)

    @property
    def stale(self) -> bool:
        """Whether KV did not answer when it was last asked, or has not for long: a missing document proves nothing."""
        return self._failures > 0 or self.age > STALE_SECONDS

    @property
    def expired(self) -> bool:
        """Whether KV has been away for longer than calls may go on without it. One failed look is not away yet."""
        age = self.age
        return age > self._limit and (self._failures > 1 or age > STALE_SECONDS)

    @property
    def source(self) -> str:
        """Where the documents in force come from: "store", or "last-known-good" while that cannot be read."""
        return "last-known-good" if self.stale else "store"

    @property
    def problem(self) -> str:
        """What keeps KV from being read: "unreachable", "lost" (emptied, or another environment's), "" for nothing."""
        return self._problem

    @property
    def doubted(self) -> int:
        """Documents that are in force although the store does not hold them (any more, or again)."""
        return len(self._doubted)

    async def close(self) -> None:
        """Stop looking and give the store back."""
        self._stop.set()
        self._wake.set()
        await asyncio.to_thread(self._thread.join)
        self._let_go()
        self._keeper.close()
        _answer(self._asked)

    # -- the thread ------------------------------------------------------------------------------------------------

    def _look_forever(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self._pause())
            self._wake.clear()
            asked = [self._asked.popleft() for _ in range(len(self._asked))]
            try:
                self._look()
            except Exception as error:  # whatever the engine raises, the last known documents stay
                self._failed(error)
            if asked:
                self._tell(partial(_answer, asked))
            self._keep()
        self._keep(last=True)

    def _pause(self) -> float:
        if self._failures:
            return min(POLL_SECONDS * 2.0 ** min(self._failures, 10), _RETRY_MOST)
        return LISTENING_SECONDS if self._listening else POLL_SECONDS

    def _look(self) -> None:
        kv = self._opened()
        changed = kv.changes(self._mark)
        again = changed.epoch != self._epoch
        set_back = again or changed.mark < self._mark
        self._compare = self._compare or set_back
        if self._compare or META_ENV in changed.keys:
            self._check_owner(kv)
        if self._epoch is not None:  # also of a store that was set back: what changed is read before all is compared
            self._left.extendleft(self._watched(changed.keys))
        self._mark = changed.mark
        self._read_changed(kv)
        if self._compare:
            self._compare_all(kv, again=again)
            self._epoch = changed.epoch
            self._compare = False
        self._good_at = self._contact_at = self._clock.elapsed()
        self._settle_doubts(kv)
        if self._failures:
            log.info("KV can be read again")
        self._failures, self._problem = 0, ""

    def _opened(self) -> ReadableKV:
        if self._kv is None:
            kv = self._open_kv()
            try:
                self._listening = kv.listen(self._wake.set)
            except BaseException:
                kv.close()
                raise
            self._kv = kv
        return self._kv

    def _let_go(self) -> None:
        kv, self._kv = self._kv, None
        self._listening = False
        if kv is not None:
            try:
                kv.close()
            except Exception as error:  # it is of no use any more, and must not keep a new one from being opened
                log.warning("A connection to KV could not be closed", error=str(error))

    def _failed(self, error: Exception) -> None:
        lost = isinstance(error, NamespaceLostError)
        problem = "lost" if lost else "unreachable"
        if problem != self._problem:
            log.error("KV cannot be read; the last known documents stay in force", problem=problem, error=str(error))
        self._problem = problem
        self._failures += 1
        self.failed_reads += 1
        self._compare = True  # what the store may have lost while it was away does not stand among its changes
        reopen = _REOPEN_AFTER if isinstance(error, StoreUnavailableError) else _REOPEN_ANYWAY
        if not lost and self._failures % reopen == 0:
            self._let_go()

    def _check_owner(self, kv: ReadableKV) -> None:
        body = kv.get(META_ENV)
        if body is not None:
            owner = _environment(body)
            if owner != self._env:
                raise NamespaceLostError(
                    f"The KV namespace that is configured for {self._env} belongs to {owner or 'something unknown'}."
                )
            self._claimed = True
        elif self._claimed:
            raise NamespaceLostError(f"The KV namespace of {self._env} was emptied: its {META_ENV} is gone.")

    def _watched(self, keys: Iterable[str]) -> list[str]:
        return [key for key in keys if key.startswith(self._prefixes)]

    def _read_changed(self, kv: ReadableKV) -> None:
        """Read changed documents piece by piece. What changes meanwhile comes first: it may be a revocation."""
        while self._left:
            keys = [self._left[at] for at in range(min(PIECE, len(self._left)))]
            found = kv.get_many(keys)
            for _ in keys:
                self._left.popleft()
            self._take(found.values())
            self._doubt(key for key in keys if key not in found)
            if self._left:
                self._catch_up(kv)

    def _compare_all(self, kv: ReadableKV, *, again: bool) -> None:
        """Hold everything that is known against a listing. `again`: a store that was not known may use revs anew."""
        listed: set[str] = set()
        for prefix in self._prefixes:
            after = ""
            while True:
                page = kv.list(prefix, after=after, most=PIECE)
                entries = {entry.key: entry for entry in page.entries}
                bare = [entry.key for entry in page.entries if entry.body is None and not entry.deleted]
                if bare:
                    entries |= kv.get_many(bare)
                listed.update(entries)
                self._take(entries.values(), again=again)
                self._catch_up(kv)
                self._read_changed(kv)
                after = page.after
                if not after:
                    break
        self._doubt(self._revs.keys() - listed)

    def _catch_up(self, kv: ReadableKV) -> None:
        """Note in between what changed, while much is being read."""
        self._contact_at = self._clock.elapsed()
        changed = kv.changes(self._mark)
        if changed.mark < self._mark:
            raise StoreUnavailableError("The store was set back while it was being read.")
        self._left.extendleft(self._watched(changed.keys))
        self._mark = changed.mark

    def _take(self, entries: Iterable[Entry], *, again: bool = False) -> None:
        """Take over what the store holds, where it is not older than what is known."""
        documents: list[Document] = []
        for entry in entries:
            known = self._revs.get(entry.key, self._ended.get(entry.key))
            if known is not None and entry.rev < known:
                self._doubt((entry.key,))
                continue
            self._doubted.pop(entry.key, None)
            if entry.deleted:
                documents += self._deleted(entry)
            elif known is None or entry.rev > known or again:
                documents.append(self._noted(entry))
        self._hand_over(documents)

    def _deleted(self, entry: Entry) -> list[Document]:
        """A deletion is remembered with its rev: a store that is put back to an earlier copy brings nothing back."""
        if self._ended.get(entry.key) == entry.rev:
            return []
        known = self._revs.pop(entry.key, None)
        self._ended[entry.key] = entry.rev
        self._keeper.note(entry.key, entry)
        return [(entry.key, None)] if known is not None else []

    def _noted(self, entry: Entry) -> Document:
        self._ended.pop(entry.key, None)
        self._revs[entry.key] = entry.rev
        self._keeper.note(entry.key, entry)
        return entry.key, entry.body

    def _forgotten(self, key: str) -> Document:
        self._revs.pop(key, None)
        self._doubted.pop(key, None)
        self._keeper.note(key, None)
        return key, None

    def _doubt(self, keys: Iterable[str]) -> None:
        until = self._good_at + max(self._limit, DOUBT_LEAST)
        for key in keys:
            if key in self._revs:
                self._doubted.setdefault(key, until)

    def _settle_doubts(self, kv: ReadableKV) -> None:
        """What was never confirmed holds no longer: from here on the store is right, whatever it says."""
        now = self._clock.elapsed()
        if not self._doubted or now < self._settled_at + _SETTLE_SECONDS:
            return
        self._settled_at = now
        over = [key for key, until in self._doubted.items() if until <= now]
        if over:
            log.warning("Documents that KV does not hold are given up", documents=len(over))
        for start in range(0, len(over), PIECE):
            keys = over[start : start + PIECE]
            found = {key: entry for key, entry in kv.get_many(keys).items() if not entry.deleted}
            documents = []
            for key in keys:
                documents.append(self._forgotten(key))
                if key in found:
                    documents[-1] = self._noted(found[key])
            self._hand_over(documents)

    def _hand_over(self, documents: list[Document]) -> None:
        for reader in self._readers:
            mine = [each for each in documents if each[0].startswith(reader.prefixes)]
            for apply in _prepared(reader, mine):
                self._tell(apply)

    def _tell(self, callback: Callable[[], None]) -> None:
        if self._loop is None:
            callback()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    # -- the local copy --------------------------------------------------------------------------------------------

    def _load_copy(self) -> bool:
        found = self._keeper.read()
        if found is None:
            return False
        entries, self._claimed, self._epoch, contact_at = found
        self._contact_at = self._good_at = contact_at
        for start in range(0, len(entries), PIECE):
            self._take(entries[start : start + PIECE])
        self._keeper.stands(contact_at)
        return True

    def _keep(self, *, last: bool = False) -> None:
        good_at = None if self._doubted or self._epoch is None else self._good_at
        self._keeper.keep(epoch=self._epoch or "", claimed=self._claimed, good_at=good_at, last=last)


def _environment(body: bytes) -> str:
    try:
        found = msgspec.json.decode(body, type=dict[str, object]).get("env")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return found if isinstance(found, str) else ""


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
