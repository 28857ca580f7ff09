"""KV away, emptied, restored and damaged while calls go on: a real Redis, and the embedded store."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.gateway.peers import GatewayUnderTest, IssuedKey, wait_for
from tests.redis import RedisServer, redis_server
from wire.keys import new_key


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as started:
        yield started


@pytest.fixture
def on_redis(server: RedisServer, make_gateway: Callable[..., GatewayUnderTest]) -> Callable[..., GatewayUnderTest]:
    """Makes a gateway that reads a Redis of its own."""

    def make(**settings: str) -> GatewayUnderTest:
        gateway = make_gateway(SPENDOPS_KV=server.address, **settings)
        gateway.claim()
        return gateway

    return make


def stranger(gateway: GatewayUnderTest) -> IssuedKey:
    made = new_key("dev")
    return IssuedKey(gateway, made.text, made.public_id, "")


def reason(answer: httpx.Response) -> str:
    return answer.headers.get("x-spendops-reason", "")


def until_away(gateway: GatewayUnderTest, problem: str = "unreachable") -> None:
    wait_for(lambda: gateway.health()["kv_problem"] == problem, f"KV being {problem}")


def until_back(gateway: GatewayUnderTest) -> None:
    wait_for(lambda: gateway.health()["kv_source"] == "store", "the recovery")


def revoke(key: IssuedKey) -> None:
    """Revoke it and wait until the gateway knows."""
    key.revoke()
    wait_for(lambda: key.chat().status_code == 401, "the refusal")


def test_calls_go_on_while_redis_is_down_and_what_happened_meanwhile_is_known_after_it(on_redis, server):
    gateway = on_redis().start()
    key, gone = gateway.issue(), gateway.issue()
    server.options |= {"appendonly": "yes", "appendfsync": "always"}
    assert server.client().config_set("appendonly", "yes")
    wait_for(lambda: not server.client().info("persistence")["aof_rewrite_in_progress"], "the file that it keeps")
    assert key.chat().status_code == gone.chat().status_code == 200
    server.stop(kill=True)
    until_away(gateway)
    report = gateway.health()
    assert (report["status"], report["kv_source"], report["kv_ok"]) == ("degraded", "last-known-good", False)
    for _ in range(5):
        assert key.chat().status_code == 200
    refused = stranger(gateway).chat()
    assert (refused.status_code, reason(refused)) == (503, "policy_unavailable")  # it may have been issued just now
    server.start()
    gateway.kv.close()
    gateway.kv = gateway.config.open_kv("dev")
    until_back(gateway)
    assert reason(stranger(gateway).chat()) == "key_unknown"
    revoke(gone)
    assert key.chat().status_code == 200


def test_a_redis_that_comes_back_empty_takes_no_policy_away(on_redis, server):
    gateway = on_redis().start()
    key, other = gateway.issue(), gateway.issue()
    assert key.chat().status_code == 200
    server.client().flushall()
    until_away(gateway, "lost")
    assert key.chat().status_code == other.chat().status_code == 200
    gateway.claim()  # the publisher begins anew
    gateway.publish_prices(version=2)
    key.publish()
    until_back(gateway)
    assert key.chat().status_code == other.chat().status_code == 200
    assert gateway.health()["kv_unconfirmed"] >= 1
    other.publish()
    wait_for(lambda: gateway.health()["kv_unconfirmed"] == 0, "the last document")
    revoke(key)
    assert other.chat().status_code == 200


def test_a_redis_that_lost_its_last_writes_brings_no_revoked_key_back(on_redis, server):
    """Its disk is a minute behind, as after the loss of power."""
    gateway = on_redis().start()
    key = gateway.issue()
    assert key.chat().status_code == 200
    server.client().save()
    key.revoke()
    wait_for(lambda: key.chat().status_code == 401, "the refusal")
    server.stop(kill=True)
    until_away(gateway)
    server.start()
    until_back(gateway)
    assert reason(key.chat()) == "key_revoked"
    assert gateway.health()["kv_unconfirmed"] == 1
    gateway.stop()
    gateway.start()  # its copy knows it, too
    assert reason(key.chat()) == "key_revoked"


def test_a_gateway_that_is_restarted_during_the_outage_serves_from_its_copy(on_redis, server):
    gateway = on_redis().start()
    key, revoked = gateway.issue(), gateway.issue()
    assert key.chat().status_code == revoked.chat().status_code == 200
    revoked.revoke()
    wait_for(lambda: revoked.chat().status_code == 401, "the refusal")
    server.stop()
    assert gateway.stop() == 0
    gateway.start()
    report = gateway.health()
    assert (report["kv_source"], report["status"], report["price_version"]) == ("last-known-good", "degraded", 1)
    assert 0 < report["kv_age_ms"] < 60_000
    assert key.chat().status_code == 200
    assert reason(revoked.chat()) == "key_revoked"
    assert reason(stranger(gateway).chat()) == "policy_unavailable"
    server.start()  # with nothing in it
    until_away(gateway, "lost")
    assert key.chat().status_code == 200


def test_a_copy_is_written_while_the_gateway_runs_and_survives_kill_9(on_redis, server):
    gateway = on_redis().start()
    key = gateway.issue()
    assert key.chat().status_code == 200
    copy = gateway.data / "dev" / "last-known.sqlite3"
    wait_for(copy.exists, "the copy")
    journal = copy.with_name(f"{copy.name}-wal")
    assert [path.stat().st_mode & 0o777 for path in (copy, journal)] == [0o600, 0o600]
    before = _rows(copy)
    later = gateway.issue()
    assert later.chat().status_code == 200
    wait_for(lambda: _rows(copy) > before, "the new key in the copy")
    gateway.stop(signal.SIGKILL)
    server.stop()
    gateway.start()
    assert key.chat().status_code == later.chat().status_code == 200


def _rows(copy: Path) -> int:
    with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM documents").fetchone()[0])


def test_the_limit_of_age_ends_calls_and_kv_brings_them_back(on_redis, server):
    gateway = on_redis(SPENDOPS_KV_STALE_SECONDS="1").start()
    key = gateway.issue()
    assert key.chat().status_code == 200
    server.stop()
    until_away(gateway)
    refused = wait_for(lambda: (answer := key.chat()).status_code == 503 and answer, "the end of the limit")
    assert (reason(refused), refused.headers["retry-after"]) == ("policy_unavailable", "1")
    report = httpx.get(f"{gateway.url}/health", timeout=5)
    assert (report.status_code, report.json()["status"], report.json()["kv_stale_ms"]) == (503, "failing", 1000)
    denial = gateway.denials(key)[-1]
    assert (denial.tenant, denial.http_status) == (key.tenant, 503)
    server.start()
    gateway.kv.close()
    gateway.kv = gateway.config.open_kv("dev")
    gateway.claim()
    gateway.publish_prices(version=2)
    key.publish()
    wait_for(lambda: key.chat().status_code == 200, "the recovery")


def test_redis_that_hangs_stops_no_call(on_redis, server):
    gateway = on_redis().start()
    key = gateway.issue()
    assert key.chat().status_code == 200
    server.process.send_signal(signal.SIGSTOP)  # connections stay, nothing answers
    try:
        wait_for(lambda: gateway.health()["kv_source"] == "last-known-good", "the outage")
        began = time.monotonic()
        assert key.chat().status_code == 200
        assert time.monotonic() - began < 1
    finally:
        server.process.send_signal(signal.SIGCONT)
    until_back(gateway)
    revoke(key)


# -- the embedded store ------------------------------------------------------------------------------------------------


def test_an_embedded_store_that_is_damaged_stops_no_call_and_no_restart(make_gateway):
    gateway = make_gateway()
    gateway.claim()
    gateway.start()
    key, revoked = gateway.issue(), gateway.issue()
    revoked.revoke()
    wait_for(lambda: revoked.chat().status_code == 401, "the refusal")
    assert key.chat().status_code == 200
    gateway.kv.close()
    folder = gateway.data / "dev"
    damaged = folder / "damaged"
    damaged.write_bytes(b"no database" * 1000)
    for path in folder.glob("kv.sqlite3*"):
        path.unlink()
    damaged.rename(folder / "kv.sqlite3")
    until_away(gateway)
    assert key.chat().status_code == 200
    assert gateway.stop() == 0
    gateway.start()
    assert gateway.health()["kv_source"] == "last-known-good"
    assert key.chat().status_code == 200
    assert reason(revoked.chat()) == "key_revoked"
    (folder / "kv.sqlite3").unlink()
    gateway.kv = gateway.config.open_kv("dev")
    until_away(gateway, "lost")
    assert key.chat().status_code == 200
    gateway.claim()
    gateway.publish_prices(version=2)
    key.publish()
    until_back(gateway)
    assert key.chat().status_code == 200
    assert reason(revoked.chat()) == "key_revoked"  # which the new store does not know at all
    revoke(key)
