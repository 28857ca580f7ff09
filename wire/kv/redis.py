"""Redis or Valkey as a KV store: the layout, and how it is read. Writes are decided in `wire.kv.redis_script`.

Of a namespace NS, whose braces keep it on one server of a cluster:

    {NS}:doc:KEY   a hash of rev, digest, body and seq; a deletion is remembered with an empty digest and body
    {NS}:seq       how many writes were applied
    {NS}:changes   a sorted set, keys by the seq of their last write
    {NS}:keys      a sorted set of all keys, for listings in their order
    {NS}:epoch     a random id; a new one when the store was emptied, restarted or replaced by a replica
    {NS}:run       which run of the server the epoch belongs to
    {NS}:changed   the channel on which each write call is told once
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from wire.kv.base import (
    Changes,
    DocumentRefusedError,
    Entry,
    Outcome,
    Page,
    Standing,
    StoreRefusedError,
    StoreUnavailableError,
    Write,
)
from wire.kv.redis_errors import translated
from wire.kv.redis_listener import Listener
from wire.kv.redis_script import Writer

TIMEOUT = 5.0  # seconds, for connecting and for each answer

READ_MOST = 500  # documents that are asked for before their answers are read
NAMES_MOST = 5000  # of one answer

_BULK_LARGEST = 512 * 2**20  # Redis' own limit of one value, unless it was told otherwise
_T = TypeVar("_T")
_FIELDS = ("rev", "digest", "body")
_AFTER_ALL = b"\xff"  # no UTF-8 text has this byte


class RedisKV:
    """A namespace in Redis. Redis is expected to keep what it has: see docs/kv.md on memory and persistence."""

    def __init__(self, address: str, *, namespace: str, timeout: float = TIMEOUT) -> None:
        """Connect. Raises StoreUnavailableError, or StoreRefusedError also for a server that throws documents away."""
        self._before = f"{{{namespace}}}:"
        self._before_document = f"{self._before}doc:"
        self._timeout = timeout
        self._listener: Listener | None = None
        pool = redis.ConnectionPool.from_url(
            address,
            protocol=2,
            socket_connect_timeout=timeout,
            socket_timeout=timeout,
            retry=Retry(NoBackoff(), 0),  # publishing and the gateway know better when to come again
            driver_info=None,
        )
        self._redis = redis.Redis.from_pool(pool)
        self._writer = Writer(self._redis, namespace)
        try:
            with translated():
                _refuse_forgetful(self._redis.info("memory"))
                self._largest = self._largest_value()
        except BaseException:
            self._redis.close()
            raise

    def get(self, key: str) -> bytes | None:
        found = self.entry(key)
        return found.body if found else None

    def entry(self, key: str) -> Entry | None:
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        with translated():
            for part in _parts(keys, READ_MOST):
                pipeline = self._redis.pipeline(transaction=False)
                for key in part:
                    pipeline.hmget(self._before_document + key, _FIELDS)
                for key, values in zip(part, pipeline.execute(), strict=True):
                    if (entry := _entry(key, values)) is not None:
                        found[key] = entry
        return found

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        for write in writes:
            self._check(write)
        with self._written():
            return self._writer.write(writes)

    def add(self, key: str, body: bytes) -> bool:
        write = Write(key, 1, body)
        self._check(write)
        with self._written():
            return self._writer.add(write)

    def list(self, prefix: str, *, after: str = "", most: int = 1000) -> Page:
        with translated():
            start = b"(" + after.encode() if after >= prefix and after else b"[" + prefix.encode()
            end = b"(" + prefix.encode() + _AFTER_ALL
            raw: Any = self._redis.zrangebylex(self._before + "keys", start, end, start=0, num=most)
        keys = [key.decode() for key in raw]
        found = self.get_many(keys)
        return Page([found[key] for key in keys if key in found], keys[-1] if len(keys) == most else "")

    def changes(self, mark: int) -> Changes:
        """What changed since a mark. `epoch` is "" while nothing was ever written, or since everything was deleted."""
        with translated():
            epoch, seq = self.standing()
            keys = []
            last = mark
            while last < seq:
                # each write has a number of its own, so that a page begins where the one before ended
                page: Any = self._redis.zrangebyscore(
                    self._before + "changes", f"({last}", "+inf", start=0, num=NAMES_MOST, withscores=True
                )
                keys += [key.decode() for key, _ in page]
                last = int(page[-1][1]) if len(page) == NAMES_MOST else max(seq, last, *(int(n) for _, n in page))
        return Changes(list(dict.fromkeys(keys)), last if seq >= mark else seq, epoch)

    def standing(self) -> Standing:
        with translated():
            raw: Any = self._redis.mget([self._before + "seq", self._before + "epoch"])
        return Standing((raw[1] or b"").decode(), int(raw[0] or 0))

    def listen(self, wake: Callable[[], None]) -> bool:
        """Raises StoreUnavailableError or StoreRefusedError when it cannot be listened now."""
        self._stop_listening()
        with translated():
            self._listener = Listener(self._redis, self._before + "changed", wake, timeout=self._timeout)
        return True

    def close(self) -> None:
        self._stop_listening()
        self._redis.close()

    def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()

    def _largest_value(self) -> int:
        """Redis closes the connection on whoever sends more, without saying why in time."""
        try:
            found: Any = self._redis.config_get("proto-max-bulk-len")
        except redis.ResponseError:  # it may be forbidden, or hidden by who runs the server
            return _BULK_LARGEST
        return int(found.get("proto-max-bulk-len", _BULK_LARGEST))

    def _check(self, write: Write) -> None:
        if write.rev < 0:
            raise ValueError(f"A rev is 0 or more, not {write.rev}.")
        if write.body is not None and len(write.body) > self._largest:
            raise DocumentRefusedError(
                f"{write.key} has {len(write.body):,} bytes; Redis takes {self._largest:,} (proto-max-bulk-len)."
            )

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            with translated():
                yield
        except StoreUnavailableError:
            # the name in the address may lead to another server by now, one that takes writes
            self._redis.connection_pool.disconnect(inuse_connections=False)
            raise


def _refuse_forgetful(memory: Any) -> None:
    policy = str(memory.get("maxmemory_policy", ""))
    if int(memory.get("maxmemory", 0)) > 0 and policy.startswith("allkeys-"):
        raise StoreRefusedError(
            f"Redis throws away documents when its memory is full (maxmemory-policy {policy}), and keys would stop "
            "working one by one: set maxmemory-policy noeviction, or name a server of its own."
        )


def _entry(key: str, values: Any) -> Entry | None:
    rev, digest, body = values
    if rev is None or digest is None:
        return None
    return Entry(key, int(rev), digest.decode(), body if digest else None)


def _parts(items: Sequence[_T], most: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), most):
        yield items[start : start + most]
