"""A publisher on stores of the test's own, and a look into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest

from publishing.publisher import Publisher
from tests.publishing.places import Place
from wire.kv.base import KV, Entry, ReadableKV
from wire.kv.stores import Kind, Store

if TYPE_CHECKING:
    from tests.cloudflare.peer import Peer
    from tests.redis import RedisServer


@dataclass(frozen=True)
class Opened(Store):
    """A store of which a test may put something between publisher and store."""

    around: Callable[[KV], KV] = field(default=lambda kv: kv, compare=False)

    def open(self) -> KV:
        return self.around(super().open())


class Stores:
    """The stores that the configuration names during a test: an embedded one for each environment to begin with."""

    def __init__(self, folder: Path, settings: Any) -> None:
        self.folder = folder
        self._settings = settings
        self._readers: dict[Store, ReadableKV] = {}
        self.opening: Callable[[KV], KV] = lambda kv: kv
        self.name({env: [self.embedded(env)] for env in settings.SPENDOPS.environments})

    def embedded(self, env: str, name: str = "embedded") -> Store:
        return Opened(Kind.EMBEDDED, env, name, str(self.folder / env / f"{name}.sqlite3"), around=self._around)

    def redis(self, env: str, server: RedisServer) -> Store:
        namespace = f"{env}-{token_hex(4)}"
        store_id = f"{server.address}#{namespace}"
        return Opened(Kind.REDIS, env, store_id, server.address, namespace=namespace, around=self._around)

    def cloudflare(self, env: str, peer: Peer) -> Store:
        return Opened(Kind.CLOUDFLARE, env, peer.store(env), peer.address(env), token=peer.token, around=self._around)

    def name(self, named: dict[str, Sequence[Store]]) -> None:
        """Change the configuration: the stores of some environments, the first of which the test reads."""
        stores = {**self._settings.SPENDOPS.stores, **{env: tuple(each) for env, each in named.items()}}
        self._settings.SPENDOPS = replace(self._settings.SPENDOPS, stores=stores)

    def of(self, env: str) -> Store:
        return self._settings.SPENDOPS.stores[env][0]

    def open(self, env: str) -> KV:
        return self.of(env).open()

    def _around(self, kv: KV) -> KV:
        return self.opening(kv)

    def publisher(self) -> Publisher:
        return Publisher.of_settings()

    def reader(self, env: str, store: Store | None = None) -> ReadableKV:
        store = store or self.of(env)
        if store not in self._readers:
            self._readers[store] = store.open_readable()
        return self._readers[store]

    def documents(self, env: str, prefix: str = "", store: Store | None = None) -> dict[str, Entry]:
        """What a store holds under a prefix, deletions included."""
        found: dict[str, Entry] = {}
        after = ""
        while True:
            page = self.reader(env, store).list(prefix, after=after)
            found |= {entry.key: entry for entry in page.entries}
            after = page.after
            if not after:
                return found

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()


@pytest.fixture
def stores(tmp_path: Path, settings: Any) -> Iterator[Stores]:
    found = Stores(tmp_path, settings)
    yield found
    found.close()


@pytest.fixture
def publisher(stores: Stores, db: None) -> Iterator[Publisher]:
    found = stores.publisher()
    yield found
    found.close()


@pytest.fixture(params=[each.value for each in Kind])
def place(request: pytest.FixtureRequest, stores: Stores) -> Place:
    """The store of dev, of each kind in turn."""
    if request.param == Kind.REDIS:
        server: RedisServer = request.getfixturevalue("redis_server")
        stores.name({"dev": [stores.redis("dev", server)]})
    elif request.param == Kind.CLOUDFLARE:
        peer: Peer = request.getfixturevalue("cloudflare")
        request.getfixturevalue("monkeypatch").setattr("wire.kv.cloudflare._paces", {})  # each test has its own calls
        stores.name({"dev": [stores.cloudflare("dev", peer)]})
    return Place(stores.of("dev"))
