"""Through a network and a service that fail: nothing is lost, nothing is reordered, repeating does no harm."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cloudflare.peer import Peer
from tests.faults.http import (
    CUT_AFTER,
    CUT_BEFORE,
    HALF_ANSWER,
    LATE_AFTER,
    LATE_BEFORE,
    PASS,
    Fault,
    Proxy,
    answering,
    faulty,
)
from wire.kv.base import Outcome, StoreUnavailableError, Write, digest_of
from wire.kv.cloudflare import CloudflareKV
from wire.kv.pace import Pace

IMPATIENT = httpx.Timeout(connect=5.0, write=5.0, read=0.25, pool=1.0)
PATIENT = httpx.Timeout(10.0)

TOO_MANY = answering(429, b'{"success":false,"errors":[{"code":10429,"message":"slow down"}]}', retry_after="300")
BROKEN_BEFORE = answering(500, b"<html>")
BROKEN_AFTER = answering(502, b"<html>", arrives=True)
NOT_ALL = answering(
    200, b'{"success":true,"result":{"successful_key_count":0,"unsuccessful_keys":["key:a"]}}', arrives=True
)

QUICK = {
    "429": TOO_MANY,
    "500": BROKEN_BEFORE,
    "502 after it took effect": BROKEN_AFTER,
    "cut before": CUT_BEFORE,
    "cut after": CUT_AFTER,
    "half an answer": HALF_ANSWER,
    "not all keys": NOT_ALL,
}
FAULTS = QUICK | {"too late before": LATE_BEFORE, "too late after": LATE_AFTER}


class Clock:
    """Moves only when it is told to: pauses of minutes take no time."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Publisher:
    """Sends batches in their order, each until the store acknowledges it, and waits as long as it is told to."""

    def __init__(self, kv: CloudflareKV, clock: Clock) -> None:
        self.kv = kv
        self.clock = clock
        self.errors: list[StoreUnavailableError] = []

    def publish(self, batches: Sequence[Sequence[Write]]) -> None:
        for batch in batches:
            while True:
                try:
                    assert set(self.kv.write(batch)) <= set(Outcome)
                except StoreUnavailableError as error:
                    self.errors.append(error)
                    self.clock.now += error.retry_after
                else:
                    break


@pytest.fixture(scope="module")
def proxy(cloudflare_runtime: Peer) -> Iterator[Proxy]:
    with faulty(cloudflare_runtime.url) as found:
        yield found


def publisher(peer: Peer, proxy: Proxy, timeout: httpx.Timeout = PATIENT) -> Publisher:
    clock = Clock()
    address = peer.address("dev", through=proxy.url)
    return Publisher(
        CloudflareKV(address, token=peer.token, timeout=timeout, pace=Pace(10_000, 300, clock=clock)), clock
    )


def held(peer: Peer) -> dict[str, tuple[int, str]]:
    """What the namespace holds, asked without the proxy."""
    kv = peer.open("dev")
    entries = kv.list("").entries
    kv.close()
    return {entry.key: (entry.rev, entry.digest) for entry in entries}


def revs_sent(proxy: Proxy, key: str) -> list[int]:
    """The revs of a document in the order in which Cloudflare got them."""
    bulks = [json.loads(seen.body) for seen in proxy.seen if seen.arrived and seen.method == "PUT"]
    return [pair["metadata"]["rev"] for bulk in bulks for pair in bulk if pair["key"] == key]


def body_of(key: str, rev: int) -> bytes:
    return json.dumps({"key": key, "rev": rev}).encode()


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_after_a_fault_the_same_is_sent_again_and_nothing_is_lost(cloudflare, proxy, fault):
    proxy.forget()
    late = fault in (LATE_BEFORE, LATE_AFTER)
    sender = publisher(cloudflare, proxy, IMPATIENT if late else PATIENT)
    first = [Write("key:a", 1, body_of("key:a", 1)), Write("key:b", 1, body_of("key:b", 1))]
    second = [Write("key:a", 2, body_of("key:a", 2)), Write("key:b", 2, None)]
    proxy.plan(fault, fault, PASS, fault)
    sender.publish([first, second])
    assert proxy.planned == 0
    assert len(sender.errors) >= 3
    assert held(cloudflare) == {"key:a": (2, digest_of(body_of("key:a", 2)))}
    revs = revs_sent(proxy, "key:a")
    assert revs == sorted(revs)
    sender.kv.close()


def test_a_fault_during_the_deletions_repeats_the_puts_too(cloudflare, proxy):
    proxy.forget()
    sender = publisher(cloudflare, proxy)
    sender.publish([[Write("key:gone", 1, b"{}")]])
    proxy.plan(PASS, CUT_BEFORE)
    sender.publish([[Write("key:gone", 2, None), Write("key:new", 1, b"{}")]])
    assert len(sender.errors) == 1
    assert set(held(cloudflare)) == {"key:new"}
    sender.kv.close()


def test_a_pause_of_minutes_is_waited_for_without_a_single_call(cloudflare, proxy):
    proxy.forget()
    sender = publisher(cloudflare, proxy)
    proxy.plan(TOO_MANY)
    sender.publish([[Write("key:a", 1, b"{}")]])
    assert [error.retry_after for error in sender.errors] == [300]
    assert sender.clock.now == 300
    assert len(proxy.seen) == 2
    sender.kv.close()


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_reading_that_fails_is_never_taken_for_an_answer(cloudflare, proxy, fault):
    proxy.forget()
    late = fault in (LATE_BEFORE, LATE_AFTER)
    sender = publisher(cloudflare, proxy)
    sender.publish([[Write("key:a", 1, b'{"a":1}')]])
    reader = publisher(cloudflare, proxy, IMPATIENT if late else PATIENT)
    reads = [
        lambda: reader.kv.get("key:a"),
        lambda: reader.kv.entry("key:a"),
        lambda: reader.kv.list("key:"),
        lambda: reader.kv.add("key:a", b"{}"),
    ]
    if fault is NOT_ALL:
        reads = reads[1:3]  # a value may be any text
    for read in reads:
        proxy.plan(fault)
        with pytest.raises(StoreUnavailableError) as caught:
            read()
        reader.clock.now += caught.value.retry_after
    reader.kv.close()
    assert sender.kv.get("key:a") == b'{"a":1}'
    sender.kv.close()


def test_a_service_that_is_away_is_told_as_such(cloudflare):
    with faulty(cloudflare.url) as gone:
        pass
    kv = CloudflareKV(cloudflare.address("dev", through=gone.url), token=cloudflare.token)
    with pytest.raises(StoreUnavailableError, match="Cloudflare could not be reached"):
        kv.get("key:a")
    kv.close()


KEYS = ("key:a", "key:b", "tenant:t", "pricing:blob")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), min_size=1, max_size=4), max_size=6),
    faults=st.lists(st.sampled_from([PASS, PASS, *QUICK.values()]), max_size=12),
)
def test_whatever_fails_in_between_the_namespace_ends_as_what_was_published(
    cloudflare_runtime: Peer, proxy: Proxy, edits: list[list[tuple[str, bool]]], faults: list[Fault]
):
    cloudflare_runtime.empty()
    proxy.forget()
    proxy.plan(*faults)
    sender = publisher(cloudflare_runtime, proxy)
    wanted: dict[str, Write] = {}
    batches, rev = [], 0
    for edit in edits:
        batch = []
        for key, deleted in edit:
            rev += 1
            batch.append(Write(key, rev, None if deleted else body_of(key, rev)))
            wanted[key] = batch[-1]
        batches.append(batch)
    sender.publish(batches)
    sender.kv.close()
    living = {key: (write.rev, digest_of(write.body)) for key, write in wanted.items() if write.body is not None}
    assert held(cloudflare_runtime) == living
    for key in KEYS:
        revs = revs_sent(proxy, key)
        assert revs == sorted(revs)
