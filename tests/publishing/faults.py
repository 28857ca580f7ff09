"""A KV store between the publisher and the real one that fails, dies, or lets others in at a chosen moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wire.kv.base import KV, Entry, Outcome, StoreUnavailableError, Write


class Crash(BaseException):
    """The process dies here: nothing that handles errors sees it."""


class Faulty:
    """Writes go through unless something is planned: each plan is for one write. While it is away, nothing does."""

    def __init__(self) -> None:
        self.before: Callable[[], None] | None = None
        self.after: Callable[[], None] | None = None
        self.away = False
        self.written: list[Sequence[Write]] = []

    def around(self, kv: KV) -> KV:
        return _Between(kv, self)  # type: ignore[return-value]

    def take(self, plan: str) -> None:
        happens: Callable[[], None] | None = getattr(self, plan)
        setattr(self, plan, None)
        if happens is not None:
            happens()


class _Between:
    def __init__(self, kv: KV, faults: Faulty) -> None:
        self._kv = kv
        self._faults = faults

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        self._refuse_while_away()
        self._faults.take("before")
        outcomes = self._kv.write(writes)
        self._faults.written.append(writes)
        self._faults.take("after")
        return outcomes

    def get(self, key: str) -> bytes | None:
        self._refuse_while_away()
        return self._kv.get(key)

    def entry(self, key: str) -> Entry | None:
        self._refuse_while_away()
        return self._kv.entry(key)

    def _refuse_while_away(self) -> None:
        if self._faults.away:
            raise StoreUnavailableError("the store is away")

    def __getattr__(self, name: str) -> object:
        return getattr(self._kv, name)


def raising(error: BaseException) -> Callable[[], None]:
    def happens() -> None:
        raise error

    return happens
