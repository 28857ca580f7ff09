"""The embedded queue: at least once, hidden while in hand, dead after too many tries, and safe under kill -9."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wire.queues.base import DENIALS, USAGE, Limits, queue_name
from wire.queues.embedded import EmbeddedQueue

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def open_queue(tmp_path: Path) -> Iterator[object]:
    opened: list[EmbeddedQueue] = []

    def make(kind: str = USAGE, env: str = "dev", **limits: int) -> EmbeddedQueue:
        queue = EmbeddedQueue(tmp_path / "queues.sqlite3", queue_name(kind, env), Limits(**limits))
        opened.append(queue)
        return queue

    yield make
    for queue in opened:
        queue.close()


def test_messages_come_out_oldest_first_and_go_when_acknowledged(open_queue):
    queue = open_queue()
    queue.send([b"1", b"2"])
    queue.send([b"3"])
    messages = queue.claim(2)
    assert [(m.body, m.attempts) for m in messages] == [(b"1", 1), (b"2", 1)]
    assert [m.body for m in queue.claim()] == [b"3"]
    assert queue.claim() == []
    queue.acknowledge(messages)
    assert queue.depth()[:3] == (0, 1, 0)


def test_each_queue_has_its_own_messages(open_queue):
    usage, denials, other = open_queue(), open_queue(DENIALS), open_queue(env="prod")
    usage.send([b"u"])
    denials.send([b"d"])
    assert other.claim() == []
    assert [m.body for m in denials.claim()] == [b"d"]
    assert [m.body for m in usage.claim()] == [b"u"]


def test_what_is_released_comes_again(open_queue):
    queue = open_queue()
    queue.send([b"1"])
    queue.release(queue.claim())
    (again,) = queue.claim()
    assert again.attempts == 1, "a delivery that is given back does not count"
    queue.release([again], delay_seconds=60)
    assert queue.claim() == []
    assert queue.depth().in_flight == 1


def test_what_is_not_acknowledged_in_time_comes_again(open_queue):
    queue = open_queue(visibility_seconds=1)
    queue.send([b"1"])
    assert len(queue.claim()) == 1
    until = time.monotonic() + 5
    while not (again := queue.claim()) and time.monotonic() < until:
        time.sleep(0.02)
    assert [m.attempts for m in again] == [2]


def test_after_too_many_deliveries_a_message_is_dead(open_queue):
    queue = open_queue(retries=2, visibility_seconds=0)
    queue.send([b"poison", b"fine"])
    for _ in range(2):
        messages = queue.claim()
        assert len(messages) == 2
        queue.acknowledge(messages[1:])
        queue.send([b"fine"])
    (last,) = queue.claim()
    assert last.body == b"fine"
    queue.acknowledge([last])
    depth = queue.depth()
    assert (depth.waiting, depth.dead) == (0, 1)


def test_a_message_that_is_given_back_never_dies_of_it(open_queue):
    queue = open_queue(retries=2)
    queue.send([b"1"])
    for _ in range(10):
        (message,) = queue.claim()
        queue.release([message])
    queue.release([message])  # twice: there is no delivery left to give back
    assert [(m.body, m.attempts) for m in queue.claim()] == [(b"1", 1)]


def test_dead_messages_are_put_back_as_new_and_as_old_as_they_are(open_queue):
    queue, other = open_queue(retries=2), open_queue(env="prod")
    queue.send([b"1", b"2"])
    other.send([b"other"])
    sent = queue.depth().oldest_ms
    queue.bury(queue.claim(), "refused")
    other.bury(other.claim(), "refused")
    assert queue.depth() == (0, 0, 2, 0, sent)
    assert queue.redeliver_dead() == 2
    assert queue.depth() == (2, 0, 0, sent, 0)
    assert [(m.body, m.attempts, m.sent_ms) for m in queue.claim()] == [(b"1", 1, sent), (b"2", 1, sent)]
    assert (queue.redeliver_dead(), other.depth().dead) == (0, 1)


def test_what_cannot_be_understood_is_buried_at_once(open_queue):
    queue = open_queue()
    queue.send([b"{"])
    queue.bury(queue.claim(), "not an event")
    assert queue.depth()[:4] == (0, 0, 1, 0)
    assert queue.claim() == []


def test_depth_tells_how_long_the_oldest_waits(open_queue):
    queue = open_queue()
    assert queue.depth() == (0, 0, 0, 0, 0)
    before = time.time_ns() // 1_000_000
    queue.send([b"1"])
    assert before <= queue.depth().oldest_ms <= time.time_ns() // 1_000_000


def test_neither_a_claim_nor_the_depth_reads_or_sorts_the_backlog(open_queue):
    """Every step of every statement is a search in an index: none sorts, and none reads a body to count it."""
    queue = open_queue()
    queue.send([b"1"])
    statements: list[str] = []
    queue._db.set_trace_callback(statements.append)
    queue.claim(1)
    queue.depth()
    queue._db.set_trace_callback(None)
    steps = [
        step
        for sql in statements
        if sql.startswith(("SELECT", "UPDATE"))
        for (*_, step) in queue._db.execute(f"EXPLAIN QUERY PLAN {sql}")
    ]
    searches = [step for step in steps if "messages" in step and "INTEGER PRIMARY KEY" not in step]
    assert len(searches) == 7
    assert all("USING COVERING INDEX" in step for step in searches)
    assert not [step for step in steps if "TEMP B-TREE" in step]


def test_what_comes_again_later_lets_others_go_first(open_queue):
    queue = open_queue(visibility_seconds=0)
    queue.send([b"1"])
    (message,) = queue.claim()
    queue.send([b"2"])
    later = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 <= later:
        pass
    queue.release([message])
    assert [m.body for m in queue.claim(1)] == [b"2"]


def test_two_consumers_never_hold_the_same_message(open_queue):
    first, second = open_queue(), open_queue()
    first.send([str(n).encode() for n in range(100)])
    taken = [m.body for queue in (first, second) * 5 for m in queue.claim(10)]
    assert len(taken) == len(set(taken)) == 100


PRODUCER = """
import sys
from pathlib import Path
from wire.queues.embedded import EmbeddedQueue
queue = EmbeddedQueue(Path(sys.argv[1]), "usage-events-dev")
for number in range(100_000):
    queue.send([f"{sys.argv[2]}-{number}".encode()])
    print(f"{sys.argv[2]}-{number}", flush=True)
"""


def test_kill_9_of_a_producer_loses_nothing_that_it_was_told_is_stored(open_queue, tmp_path):
    queue = open_queue()
    told: list[str] = []
    for name in ("a", "b", "c"):
        arguments = [sys.executable, "-c", PRODUCER, str(tmp_path / "queues.sqlite3"), name]
        with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as producer:
            assert producer.stdout is not None
            told += [producer.stdout.readline().strip() for _ in range(40)]
            producer.send_signal(signal.SIGKILL)
            told += [line.strip() for line in producer.stdout if line.endswith("\n")]
    stored = [message.body.decode() for message in queue.claim()]
    assert len(told) >= 120
    assert set(told) <= set(stored)
    assert len(stored) == len(set(stored))
