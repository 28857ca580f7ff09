"""Stores for the tests of the contract, each reached as the product reaches it: through its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from secrets import token_hex

import pytest

from tests.cloudflare.peer import Peer
from tests.redis import RedisServer, redis_server
from tests.wire.stores import KINDS, StoreKind
from wire.config import Config
from wire.env import Env
from wire.kv.base import ReadableKV

Settings = Callable[[str], dict[str, str]]
OpenStore = Callable[..., ReadableKV]


@pytest.fixture(params=KINDS, ids=[kind.name for kind in KINDS])
def store_kind(request: pytest.FixtureRequest) -> StoreKind:
    """Each store in turn."""
    return request.param


@pytest.fixture
def store_settings(request: pytest.FixtureRequest, store_kind: StoreKind) -> Settings:
    """The settings that lead to a namespace by its name; no other test has the same ones."""
    run = token_hex(4)
    settings: Settings = request.getfixturevalue(f"{store_kind.name}_settings")
    return lambda namespace="one": {"SPENDOPS_ENVIRONMENTS": "dev", **settings(f"{run}{namespace}")}


@pytest.fixture
def open_store(store_settings: Settings) -> Iterator[OpenStore]:
    """Opens a namespace by its name; each call is a client of its own. All are closed after the test."""
    with ExitStack() as opened:

        def open_one(namespace: str = "one") -> ReadableKV:
            (store,) = Config.load(Env(store_settings(namespace))).stores["dev"]
            return opened.enter_context(closing(store.open()))

        yield open_one


@pytest.fixture
def kv(open_store: OpenStore) -> ReadableKV:
    return open_store()


@pytest.fixture
def embedded_settings(tmp_path: Path) -> Settings:
    return lambda namespace: {"SPENDOPS_DATA": str(tmp_path / namespace)}


@pytest.fixture
def redis_settings(tmp_path: Path, redis_server: RedisServer) -> Settings:
    return lambda namespace: {
        "SPENDOPS_DATA": str(tmp_path),
        "SPENDOPS_KV": f"{redis_server.address}?namespace={namespace}",
    }


@pytest.fixture
def cloudflare_settings(tmp_path: Path, cloudflare: Peer) -> Settings:
    """Its namespaces are two and empty: the first that is named is dev's, the second prod's."""
    free = list(cloudflare.namespaces)
    taken: dict[str, str] = {}

    def settings(namespace: str) -> dict[str, str]:
        if namespace not in taken:
            taken[namespace] = free.pop(0)
        place = {"SPENDOPS_DATA": str(tmp_path), "SPENDOPS_KV": cloudflare.store(taken[namespace])}
        return place | cloudflare.settings

    return settings


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A redis-server that this test may stop, fill and spoil. It keeps every write that it confirmed."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder, appendonly="yes", appendfsync="no", repl_diskless_sync_delay="0") as server:
        yield server
