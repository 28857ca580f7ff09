"""A publisher on namespaces of the test's own, and a look into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from publishing.publisher import Publisher
from wire.kv.base import KV, Entry
from wire.kv.embedded import EmbeddedKV


class Stores:
    """One embedded KV file an environment. `opening` may put something between publisher and store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._readers: dict[str, EmbeddedKV] = {}
        self.opening: Callable[[KV], KV] = lambda kv: kv

    def open(self, env: str) -> KV:
        return self.opening(EmbeddedKV(self._folder / env / "kv.sqlite3"))

    def publisher(self) -> Publisher:
        return Publisher(settings.SPENDOPS.environments, self.open)

    def reader(self, env: str) -> EmbeddedKV:
        if env not in self._readers:
            self._readers[env] = EmbeddedKV(self._folder / env / "kv.sqlite3")
        return self._readers[env]

    def documents(self, env: str, prefix: str = "") -> dict[str, Entry]:
        """What the namespace holds under a prefix, deletions included."""
        return {entry.key: entry for entry in self.reader(env).list(prefix).entries}

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    found = Stores(tmp_path)
    yield found
    found.close()


@pytest.fixture
def publisher(stores: Stores, db: None) -> Iterator[Publisher]:
    found = stores.publisher()
    yield found
    found.close()
