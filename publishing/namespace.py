"""One environment's KV namespace, with the check that it really is that environment's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from publishing.errors import NamespaceRefusedError
from wire.documents import META_ENV, SCHEMA, encode
from wire.kv.base import KV, Entry, Outcome, Write

OWNED_PREFIXES = ("key:", "tenant:", "pricing:")


class Sentinel(msgspec.Struct, frozen=True, kw_only=True):
    """`meta:env`: which environment a namespace belongs to. Written once, into a namespace that is still empty."""

    schema: int = SCHEMA
    env: str


class Namespace:
    """Opened when first needed, and opened anew after `close()`, which is how a failed connection is got rid of."""

    def __init__(self, env: str, open_kv: Callable[[str], KV]) -> None:
        self.env = env
        self._open_kv = open_kv
        self._kv: KV | None = None

    def check(self) -> None:
        """Open the namespace if it is not, and read its sentinel. Raises NamespaceRefusedError."""
        if self._kv is None:
            kv = self._open_kv(self.env)
            try:
                self._claim(kv)
            except BaseException:
                kv.close()
                raise
            self._kv = kv

    def write(self, writes: Sequence[Write]) -> list[Outcome]:
        """Write into the namespace that was checked. Raises NamespaceRefusedError, and what the store raises."""
        return self._checked().write(writes)

    def entry(self, key: str) -> Entry | None:
        """What the namespace holds under a key."""
        return self._checked().entry(key)

    def close(self) -> None:
        """Give the connection back; the next use opens and checks anew."""
        kv, self._kv = self._kv, None
        if kv is not None:
            kv.close()

    def _checked(self) -> KV:
        self.check()
        assert self._kv is not None  # noqa: S101 - for the type checker
        return self._kv

    def _claim(self, kv: KV) -> None:
        body = kv.get(META_ENV)
        if body is None:
            if any(kv.list(prefix, most=1).entries for prefix in OWNED_PREFIXES):
                raise NamespaceRefusedError(
                    f"The KV namespace that is configured for {self.env} holds documents but no {META_ENV}, so "
                    "it is not known whose it is. Name an empty namespace, or the right one."
                )
            kv.add(META_ENV, encode(Sentinel(env=self.env)))
            body = kv.get(META_ENV)
        found = _environment(body)
        if found != self.env:
            raise NamespaceRefusedError(
                f"The KV namespace that is configured for {self.env} belongs to {found or 'an unknown environment'}: "
                "nothing is written into it. Correct the configuration of the KV store."
            )


def _environment(body: bytes | None) -> str:
    try:
        return msgspec.json.decode(body or b"", type=Sentinel).env
    except msgspec.DecodeError:
        return ""
