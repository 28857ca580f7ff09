"""Flags for models that were used and have no price: `missing:{provider}:{model}`, written once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from wire.documents import Missing, encode, missing_document
from wire.kv.base import KV

log = structlog.get_logger(__name__)

_REMEMBERED_MOST = 10_000


class MissingModels:
    """The one thing that a gateway writes to KV. It never holds a call up, and a failure is tried at the next use."""

    def __init__(self, open_kv: Callable[[], KV]) -> None:
        self._open_kv = open_kv
        self._kv: KV | None = None  # opened by the writer, so that a gateway can start while KV is away
        self._flagged: set[tuple[int, str]] = set()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="missing-models")

    def flag(self, missing: Missing, *, price_version: int) -> None:
        """Note a model that has no price, or not for all that it used, in the price book of this version."""
        key = missing_document(missing.provider, missing.model)
        seen = (price_version, key)
        if seen in self._flagged:
            return
        if len(self._flagged) >= _REMEMBERED_MOST:
            self._flagged.clear()
        self._flagged.add(seen)
        written = asyncio.get_running_loop().run_in_executor(self._writer, self._add, key, encode(missing))
        written.add_done_callback(lambda done: self._done(done, seen))

    async def close(self) -> None:
        """Finish what is being written and give the store back."""
        self._writer.submit(self._let_go)
        await asyncio.to_thread(self._writer.shutdown)

    def _add(self, key: str, body: bytes) -> bool:
        if self._kv is None:
            self._kv = self._open_kv()
        try:
            return self._kv.add(key, body)
        except Exception:
            self._let_go()  # the next flag opens it anew
            raise

    def _let_go(self) -> None:
        kv, self._kv = self._kv, None
        if kv is not None:
            kv.close()

    def _done(self, written: asyncio.Future[bool], seen: tuple[int, str]) -> None:
        error = None if written.cancelled() else written.exception()
        if error is not None:
            self._flagged.discard(seen)
            log.warning("An unpriced model could not be flagged", document=seen[1], error=str(error))
