"""Redis' own: what it refuses and why, restarts and restores, permissions, and a network that fails at any moment."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.crc import key_slot

from tests.faults.tcp import Fault, TcpProxy
from tests.redis import RedisServer, redis_server
from tests.wire.stores import ROOT
from wire.kv.base import (
    DocumentRefusedError,
    Entry,
    Outcome,
    StoreRefusedError,
    StoreUnavailableError,
    Write,
    digest_of,
)
from wire.kv.redis import RedisKV

DEADLINE = 10  # seconds
NAMESPACE = "spendops-dev"
Open = Callable[..., RedisKV]

CALLS: dict[str, Callable[[RedisKV], object]] = {
    "get": lambda kv: kv.get("key:a"),
    "entry": lambda kv: kv.entry("key:a"),
    "get_many": lambda kv: kv.get_many(["key:a"]),
    "list": lambda kv: kv.list(""),
    "changes": lambda kv: kv.changes(0),
    "write": lambda kv: kv.write([Write("key:a", 2, b"b")]),
    "add": lambda kv: kv.add("key:b", b"b"),
    "listen": lambda kv: kv.listen(lambda: None),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


@pytest.fixture
def opened(own_redis: RedisServer) -> Iterator[Open]:
    """Opens the namespace: by the server's own address, unless another is given."""
    with ExitStack() as stack:

        def open_one(address: str = "", *, timeout: float = 5.0) -> RedisKV:
            kv = RedisKV(address or own_redis.address, namespace=NAMESPACE, timeout=timeout)
            return stack.enter_context(closing(kv))

        yield open_one


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_layout_is_the_documented_one(own_redis, opened):
    opened().write([Write("key:a", 7, b"seven"), Write("key:b", 1, None)])
    with own_redis.client() as client:
        assert {name.decode() for name in client.keys("*")} == {
            f"{{{NAMESPACE}}}:{name}" for name in ("doc:key:a", "doc:key:b", "seq", "changes", "keys", "epoch", "run")
        }
        assert client.hgetall(f"{{{NAMESPACE}}}:doc:key:a") == {
            b"rev": b"7", b"digest": digest_of(b"seven").encode(), b"body": b"seven", b"seq": b"1",
        }  # fmt: skip
        assert client.zrange(f"{{{NAMESPACE}}}:changes", 0, -1, withscores=True) == [(b"key:a", 1.0), (b"key:b", 2.0)]
        assert len({key_slot(name) for name in client.keys("*")}) == 1  # of a cluster


def test_a_call_is_told_once_and_a_repetition_not_at_all(own_redis, opened):
    kv = opened()
    with own_redis.client() as client, client.pubsub() as pubsub:
        pubsub.subscribe(f"{{{NAMESPACE}}}:changed")
        assert pubsub.get_message(timeout=DEADLINE)["type"] == "subscribe"
        batch = [Write(f"key:{n}", 1, b"x") for n in range(500)]
        kv.write(batch)
        kv.write(batch)
        kv.write([Write("key:0", 2, b"y")])
        heard = list(iter(lambda: pubsub.get_message(timeout=0.2), None))
    assert len(heard) == 2


def test_a_script_that_the_server_forgot_is_sent_again(own_redis, opened):
    kv = opened()
    assert kv.write([Write("key:a", 1, b"a")]) == [Outcome.APPLIED]
    with own_redis.client() as client:
        client.script_flush()
    assert kv.write([Write("key:a", 1, b"a"), Write("key:b", 1, b"b")]) == [Outcome.REPEATED, Outcome.APPLIED]


def test_no_call_is_so_large_that_everybody_else_waits_for_it(own_redis, opened):
    kv = opened()
    kv.write([Write("key:a", 1, b"a")])
    with own_redis.client() as client:
        for writes, calls in (
            ([Write(f"small:{n}", 1, b"x") for n in range(2001)], 3),
            ([Write(f"large:{n}", 1, bytes(300_000)) for n in range(10)], 4),
            ([Write("over", 1, bytes(3 * 2**20)), Write("beside", 1, b"x")], 2),
        ):
            client.config_resetstat()
            assert kv.write(writes) == [Outcome.APPLIED] * len(writes)
            assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == calls


def test_a_negative_rev_is_a_mistake(opened):
    with pytest.raises(ValueError, match="0 or more"):
        opened().write([Write("key:a", -1, b"a")])


# -- the server goes and comes back -----------------------------------------------------------------------------------


@each_call
def test_a_server_that_is_gone_is_unavailable_and_then_there_again(own_redis, opened, call):
    kv = opened()
    kv.write([Write("key:a", 1, b"a")])
    own_redis.stop(kill=True)
    with pytest.raises(StoreUnavailableError, match="could not be reached"):
        call(kv)
    with pytest.raises(StoreUnavailableError, match="could not be reached"):
        opened()
    own_redis.start()
    call(kv)
    assert kv.entry("key:a").rev in (1, 2)
    assert opened().get("key:a") is not None


@each_call
def test_a_server_that_says_nothing_is_unavailable_within_the_time_out(own_redis, opened, call):
    with TcpProxy("127.0.0.1", own_redis.port) as proxy:
        kv = opened(f"redis://127.0.0.1:{proxy.port}/0", timeout=0.2)
        kv.write([Write("key:a", 1, b"a")])
        proxy.plan(*[Fault.STALL] * 5)
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="did not answer in time"):
            call(kv)
        assert time.monotonic() - started < 4
        proxy.plan()
        call(kv)


def test_a_restart_that_kept_everything_is_a_new_epoch_at_the_first_write(own_redis, opened):
    kv = opened()
    kv.write([Write("key:a", 1, b"a"), Write("key:b", 2, None)])
    before = kv.changes(0)
    own_redis.stop()
    own_redis.start()
    assert kv.changes(before.mark) == before._replace(keys=[])
    assert kv.write([Write("key:a", 1, b"a"), Write("key:b", 1, b"late")]) == [Outcome.REPEATED, Outcome.STALE]
    assert kv.changes(0) == before  # nothing was written
    kv.write([Write("key:a", 2, b"a2")])
    after = kv.changes(before.mark)
    assert (after.keys, after.mark, after.epoch != before.epoch) == (["key:a"], before.mark + 1, True)


def test_a_server_that_lost_its_last_writes_is_noticed(tmp_path):
    """Also when as much was written since then as was lost: a mark alone would hide that."""
    with redis_server(tmp_path) as server, closing(RedisKV(server.address, namespace=NAMESPACE)) as kv:
        kv.write([Write("key:a", 1, b"a")])
        with server.client() as client:
            client.save()
        kv.write([Write("key:lost", 1, b"x"), Write("key:revoked", 1, b"x")])
        seen = kv.changes(0)
        server.stop(kill=True)
        server.start()
        back = kv.changes(seen.mark)
        assert (back.mark, back.mark < seen.mark, back.epoch) == (1, True, seen.epoch)
        kv.write([Write(f"key:{n}", 1, b"x") for n in range(10)])
        later = kv.changes(seen.mark)
        assert later.mark > seen.mark
        assert later.epoch != seen.epoch


def test_an_emptied_server_is_noticed(own_redis, opened):
    kv = opened()
    kv.write([Write("key:a", 1, b"a"), Write("key:b", 1, b"b")])
    seen = kv.changes(0)
    with own_redis.client() as client:
        client.flushall()
    assert kv.changes(seen.mark) == ([], 0, "")
    assert kv.list("").entries == []
    kv.write([Write("key:a", 1, b"a"), Write("key:b", 1, b"b")])
    again = kv.changes(seen.mark)
    assert again.epoch not in ("", seen.epoch)


def test_a_replica_takes_no_writes_until_it_takes_over(own_redis, opened, tmp_path):
    folder = tmp_path / "replica"
    folder.mkdir()
    primary = opened()
    primary.write([Write("key:a", 1, b"a")])
    with redis_server(folder, replicaof=f"127.0.0.1 {own_redis.port}") as server, server.client() as client:
        kv = opened(server.address)
        wait_for(lambda: kv.get("key:a") == b"a")
        seen = kv.changes(0)
        with pytest.raises(StoreUnavailableError, match="is a replica now, which takes no writes"):
            kv.write([Write("key:b", 1, b"b")])
        assert kv.listen(lambda: None) is True
        client.replicaof("NO", "ONE")
        assert kv.write([Write("key:b", 1, b"b")]) == [Outcome.APPLIED]
        assert kv.changes(0).epoch != seen.epoch  # it may have missed the primary's last writes


# -- what a server refuses --------------------------------------------------------------------------------------------


def test_a_full_server_takes_nothing_and_loses_nothing(own_redis, opened):
    kv = opened()
    kv.write([Write("key:a", 1, b"a")])
    with own_redis.client() as client:
        client.config_set("maxmemory", "1mb")
        for write in (Write("key:a", 2, b"b"), Write("key:c", 1, bytes(5000)), Write("key:a", 2, None)):
            with pytest.raises(StoreUnavailableError, match="Redis is full"):
                kv.write([write])
        assert kv.changes(0).keys == ["key:a"]
        client.config_set("maxmemory", "0")
    assert kv.write([Write("key:a", 2, b"b")]) == [Outcome.APPLIED]


def test_a_server_that_would_throw_documents_away_is_refused(own_redis, opened):
    with own_redis.client() as client:
        client.config_set("maxmemory", "100mb")
        for policy in ("allkeys-lru", "allkeys-lfu", "allkeys-random"):
            client.config_set("maxmemory-policy", policy)
            with pytest.raises(StoreRefusedError, match=f"throws away documents .*{policy}.* noeviction"):
                opened()
        for policy in ("volatile-lru", "noeviction"):  # our documents have no time to live
            client.config_set("maxmemory-policy", policy)
            opened()
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", "0")
        opened()


def test_a_document_that_is_too_large_is_refused_alone(own_redis, opened):
    with own_redis.client() as client:
        client.config_set("proto-max-bulk-len", "1mb")
    kv = opened()
    fine, large = Write("key:a", 1, b"a"), Write("key:large", 1, bytes(2**20 + 1))
    for writes in ([large], [fine, large]):
        with pytest.raises(DocumentRefusedError, match=r"key:large has 1,048,577 bytes; Redis takes 1,048,576"):
            kv.write(writes)
    with pytest.raises(DocumentRefusedError):
        kv.add("key:large", large.body)
    assert kv.list("").entries == []
    assert kv.write([fine, Write("key:most", 1, bytes(2**20))]) == [Outcome.APPLIED, Outcome.APPLIED]


def test_a_key_that_is_no_text_is_refused(opened):
    kv = opened()
    for call in (lambda: kv.get("\ud800"), lambda: kv.list("\ud800"), lambda: kv.write([Write("\ud800", 1, b"x")])):
        with pytest.raises(DocumentRefusedError, match="UTF-8"):
            call()
    assert kv.write([Write("key:a", 1, b"a")]) == [Outcome.APPLIED]


def test_what_is_no_document_of_ours_is_refused(own_redis, opened):
    kv = opened()
    with own_redis.client() as client:
        client.set(f"{{{NAMESPACE}}}:doc:key:a", "somebody else's")
    for name in ("get", "write"):
        with pytest.raises(StoreRefusedError, match="something else where our documents lie: name another namespace"):
            CALLS[name](kv)


def test_a_database_that_is_not_there_is_refused(own_redis, opened):
    with pytest.raises(StoreRefusedError, match="no database of this number"):
        opened(f"redis://127.0.0.1:{own_redis.port}/99")


def documented_permissions(name: str) -> str:
    """Those of docs/kv.md, for the namespace of these tests."""
    text = (ROOT / "docs/kv.md").read_text()
    (rules,) = re.findall(rf"^ACL SETUSER {name} on >PASSWORD (.+)$", text, re.MULTILINE)
    return rules.replace("{spendops-prod}", f"{{{NAMESPACE}}}")


PUBLISHER, GATEWAY = documented_permissions("publisher"), documented_permissions("gateway")


def user(server: RedisServer, name: str, rules: str) -> str:
    """An address for a user with these permissions."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", name, "reset", "on", ">s3cret", *rules.split())
    return f"redis://{name}:s3cret@127.0.0.1:{server.port}/0"


def test_the_documented_permissions_are_enough_and_not_more(own_redis, opened):
    publisher, gateway = opened(user(own_redis, "p", PUBLISHER)), opened(user(own_redis, "g", GATEWAY))
    woken = threading.Event()
    assert gateway.listen(woken.set) is True
    for name, call in CALLS.items():
        call(publisher)
        if name not in ("write", "add"):
            call(gateway)
    assert woken.wait(DEADLINE)
    assert gateway.get("key:a") == b"b"
    assert gateway.add("missing:openai:gpt-9", b"{}") is True
    before = publisher.changes(0)
    for call in (
        lambda: gateway.write([Write("key:a", 99, b"stolen")]),
        lambda: gateway.write([Write("key:a", 99, None)]),
        lambda: gateway.add("key:new", b"stolen"),
    ):
        with pytest.raises(StoreRefusedError, match=r"Redis' user may not do that: docs/kv\.md"):
            call()
    assert publisher.get_many(["key:a", "key:new"]) == {"key:a": Entry("key:a", 2, digest_of(b"b"), b"b")}
    outside = RedisKV(user(own_redis, "p", PUBLISHER), namespace="spendops-prod")
    with closing(outside), pytest.raises(StoreRefusedError, match="may not do that"):
        outside.get("key:a")
    assert publisher.changes(before.mark).mark == before.mark


@pytest.mark.parametrize("forbidden", ["publish", "info", "incr", "zadd", "hset", "set", "get", "hmget", "evalsha"])
def test_a_missing_permission_leaves_nothing_half_written(own_redis, opened, forbidden):
    admin = opened()
    if forbidden != "info":  # without it nothing is opened
        kv = opened(user(own_redis, "p", PUBLISHER))
    user(own_redis, "p", f"{PUBLISHER} -{forbidden}")
    with pytest.raises(StoreRefusedError, match="may not do that") as error:
        opened(user(own_redis, "p", f"{PUBLISHER} -info")) if forbidden == "info" else kv.write([Write("a", 1, b"a")])
    assert "s3cret" not in str(error.value)
    assert admin.get("a") is None
    kv = opened(user(own_redis, "p", PUBLISHER))
    assert kv.write([Write("a", 1, b"a")]) == [Outcome.APPLIED]
    assert kv.entry("a") == Entry("a", 1, digest_of(b"a"), b"a")
    assert (kv.changes(0).keys, [entry.key for entry in kv.list("").entries]) == (["a"], ["a"])


def test_a_listener_without_permission_is_refused_and_closes_cleanly(own_redis, opened):
    kv = opened(user(own_redis, "g", f"{GATEWAY} resetchannels"))
    with pytest.raises(StoreRefusedError, match="may not do that"):
        kv.listen(lambda: None)
    kv.close()


def test_nothing_that_is_shown_holds_the_password(own_redis, opened):
    address = user(own_redis, "p", PUBLISHER)
    kv = opened(address)
    assert "s3cret" not in repr(kv)
    with own_redis.client() as client:
        client.execute_command("ACL", "SETUSER", "p", "off")
    with pytest.raises(StoreRefusedError) as refused:
        opened(address)
    own_redis.stop()
    with pytest.raises(StoreUnavailableError) as gone:
        opened(address)
    assert "s3cret" not in f"{refused.value!r} {refused.value.__cause__!r} {gone.value!r} {gone.value.__cause__!r}"


# -- ways to reach it -------------------------------------------------------------------------------------------------


def test_a_unix_socket(own_redis, opened):
    kv = opened(f"unix://{own_redis.socket}?db=0")
    assert kv.write([Write("key:a", 1, b"a")]) == [Outcome.APPLIED]
    assert kv.listen(lambda: None) is True
    own_redis.stop()
    with pytest.raises(StoreUnavailableError):
        kv.get("key:a")


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    issued = datetime.now(UTC) - timedelta(days=1)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(issued)
        .not_valid_after(issued + timedelta(days=10))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return paths


def test_tls_with_an_authority_of_ones_own(tmp_path, monkeypatch):
    public, private = certificate(tmp_path, "localhost")
    tls = {"tls_cert_file": str(public), "tls_key_file": str(private), "tls_auth_clients": "no"}
    with redis_server(tmp_path, tls=True, **tls) as server:
        address = f"rediss://localhost:{server.port}/0"
        with pytest.raises(StoreRefusedError, match="certificate is not trusted: SSL_CERT_FILE"):
            RedisKV(address, namespace=NAMESPACE)
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        with closing(RedisKV(address, namespace=NAMESPACE)) as kv:
            assert kv.write([Write("key:a", 1, b"a")]) == [Outcome.APPLIED]
        with pytest.raises(StoreRefusedError, match="certificate is not trusted"):
            RedisKV(address.replace("localhost", "127.0.0.1"), namespace=NAMESPACE)  # it is another's certificate


def test_a_server_of_a_cluster_that_holds_the_namespace(tmp_path, opened):
    with redis_server(tmp_path, cluster_enabled="yes") as server, server.client() as client:
        kv = opened(server.address)
        with pytest.raises(StoreUnavailableError, match="cluster is down"):
            kv.write([Write("key:a", 1, b"a")])
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_for(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        woken = threading.Event()
        assert kv.listen(woken.set) is True
        assert kv.write([Write(f"key:{n}", 1, b"x") for n in range(1500)]) == [Outcome.APPLIED] * 1500
        assert woken.wait(DEADLINE)
        assert len(kv.changes(0).keys) == len(kv.list("", most=2000).entries) == 1500
        assert len(kv.get_many([f"key:{n}" for n in range(1500)])) == 1500


# -- listening --------------------------------------------------------------------------------------------------------


def test_a_listener_comes_back_after_the_server_did_and_says_so(own_redis, opened):
    kv, woken = opened(), threading.Event()
    kv.listen(woken.set)
    own_redis.stop(kill=True)
    own_redis.start()
    assert woken.wait(DEADLINE)  # something may have been missed meanwhile
    woken.clear()
    opened().write([Write("key:a", 1, b"a")])
    assert woken.wait(DEADLINE)


def test_a_listener_whose_connection_is_cut_comes_back(own_redis, opened):
    with TcpProxy("127.0.0.1", own_redis.port) as proxy:
        kv, woken = opened(f"redis://127.0.0.1:{proxy.port}/0"), threading.Event()
        kv.listen(woken.set)
        proxy.refuse()
        opened().write([Write("key:missed", 1, b"x")])
        assert not woken.is_set()
        proxy.accept()
        assert woken.wait(DEADLINE)
        assert kv.changes(0).keys == ["key:missed"]


def test_a_listener_notices_a_connection_that_died_without_a_word(own_redis, opened, monkeypatch):
    monkeypatch.setattr("wire.kv.redis_listener.SILENCE_SECONDS", 0.3)
    with TcpProxy("127.0.0.1", own_redis.port) as proxy:
        kv, woken = opened(f"redis://127.0.0.1:{proxy.port}/0"), threading.Event()
        kv.listen(woken.set)
        proxy.plan(Fault.STALL)  # it asks whether the server is there, and hears nothing
        assert woken.wait(DEADLINE)
        assert proxy.left == 0


def test_nobody_is_woken_after_closing(own_redis, opened):
    kv, calls = opened(), []
    kv.listen(lambda: calls.append(1))
    kv.close()
    kv.close()  # once more does no harm
    opened().write([Write("key:a", 1, b"a")])
    assert calls == []
    assert not [thread for thread in threading.enumerate() if thread.name == "redis-listener"]


# -- a network that fails ---------------------------------------------------------------------------------------------


def until_taken(kv: RedisKV, writes: list[Write]) -> list[Outcome]:
    """Send as publishing does: again, whenever it is not known what became of it."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            return kv.write(writes)
        except StoreUnavailableError:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
def test_what_became_of_a_call_is_not_known_and_a_repetition_is_harmless(own_redis, opened, fault):
    with TcpProxy("127.0.0.1", own_redis.port) as proxy:
        kv = opened(f"redis://127.0.0.1:{proxy.port}/0", timeout=0.3)
        kv.write([Write("key:a", 1, b"one")])
        proxy.plan(fault)
        with pytest.raises(StoreUnavailableError):
            kv.write([Write("key:a", 2, b"two")])
        happened = fault in (Fault.CUT_AFTER, Fault.CUT_ANSWER)
        assert opened().get("key:a") == (b"two" if happened else b"one")
        assert kv.write([Write("key:a", 2, b"two")]) == [Outcome.REPEATED if happened else Outcome.APPLIED]
        assert kv.changes(0).mark == 2  # it was applied once


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([b"", b"x", bytes(300_000), None])), max_size=6),
        min_size=1,
        max_size=6,
    ),
    faults=st.lists(st.sampled_from([fault for fault in Fault if fault is not Fault.STALL]), max_size=12),
)
def test_through_any_faults_everything_arrives_once(own_redis, opened, batches, faults):
    with own_redis.client() as client, TcpProxy("127.0.0.1", own_redis.port) as proxy:
        client.flushall()
        kv = opened(f"redis://127.0.0.1:{proxy.port}/0")
        proxy.plan(*faults)
        expected: dict[str, tuple[int, bytes | None]] = {}
        rev = 0
        for batch in batches:
            writes = []
            for key, body in batch:
                rev += 1
                writes.append(Write(key, rev, body))
                expected[key] = (rev, body)
            until_taken(kv, writes)
        direct = opened()
        assert {entry.key: (entry.rev, entry.body) for entry in direct.list("").entries} == expected
        assert sorted(direct.changes(0).keys) == sorted(expected)
        assert direct.changes(0).mark == rev
        direct.close()
        kv.close()


def test_reading_through_faults_gives_the_whole_or_an_error(own_redis, opened):
    opened().write([Write(f"key:{n:04d}", 1, b"%d" % n) for n in range(1500)])
    whole = {f"key:{n:04d}": b"%d" % n for n in range(1500)}
    with TcpProxy("127.0.0.1", own_redis.port) as proxy:
        kv = opened(f"redis://127.0.0.1:{proxy.port}/0")
        for fault in (Fault.CUT_BEFORE, Fault.CUT_WITHIN, Fault.CUT_AFTER, Fault.CUT_ANSWER):
            for good in range(3):  # the fault comes in a later part of the reading
                proxy.plan(*[Fault.NONE] * good, fault)
                with pytest.raises(StoreUnavailableError):
                    kv.get_many(list(whole))
                assert {key: entry.body for key, entry in kv.get_many(list(whole)).items()} == whole
