"""The embedded queue: at least once, hidden while in hand, dead after too many tries, and safe under kill -9."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
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


def test_ids_are_never_given_twice(open_queue):
    """Whoever acknowledges late must not remove another message."""
    queue = open_queue()
    queue.send([b"1", b"2"])
    first = queue.claim()
    queue.bury(first[1:], "refused")
    queue.acknowledge(first[:1])
    queue.send([b"3"])
    queue.redeliver_dead()
    queue.acknowledge(first[:1])
    assert sorted(m.body for m in queue.claim()) == [b"2", b"3"]


FORMER = """
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    body BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    visible_at INTEGER NOT NULL,
    sent_at INTEGER NOT NULL
);
CREATE INDEX messages_waiting ON messages (queue, visible_at, id);
CREATE INDEX messages_by_age ON messages (queue, sent_at);
CREATE TABLE dead_messages (
    id INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    body BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    buried_at INTEGER NOT NULL
);
CREATE INDEX dead_messages_by_age ON dead_messages (queue, sent_at);
"""
WAITING = 5000


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """A file of the former layout: messages that wait, one in hand, a dead one, and ids that were used and are gone."""
    path = tmp_path / "queues.sqlite3"
    usage, denials = queue_name(USAGE, "dev"), queue_name(DENIALS, "dev")
    far = (time.time_ns() // 1_000_000) + 3_600_000
    messages = [(n, usage, f"waiting {n}".encode(), 0, 100 + n, 100 + n) for n in range(1, WAITING + 1)]
    messages += [(WAITING + 1, usage, b"in hand", 3, far, 50), (WAITING + 2, denials, b"denied", 1, 7, 7)]
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.executescript(FORMER)
        database.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", messages)
        database.execute(
            "INSERT INTO dead_messages VALUES (?, ?, ?, 21, 60, 'refused', 70)", (WAITING + 9, usage, b"dead")
        )
        database.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'messages'", (WAITING + 9,))
        database.commit()
    return path


def assert_taken_over(queue: EmbeddedQueue, denials: EmbeddedQueue) -> None:
    assert queue.depth() == (WAITING, 1, 1, 50, 60)
    waiting = queue.claim(WAITING + 5)
    assert [(m.body, m.attempts, m.sent_ms) for m in waiting] == [
        (f"waiting {n}".encode(), 1, 100 + n) for n in range(1, WAITING + 1)
    ]
    queue.acknowledge(waiting)
    queue.send([b"new"])
    (new,) = queue.claim()
    assert (new.body, new.id) == (b"new", WAITING + 10), "an id that was used is not used again"
    queue.release([new._replace(id=WAITING + 1)])
    assert [(m.body, m.attempts, m.sent_ms) for m in queue.claim()] == [(b"in hand", 3, 50)]
    assert queue.redeliver_dead() == 1
    assert [(m.body, m.attempts, m.sent_ms) for m in queue.claim()] == [(b"dead", 1, 60)]
    assert [(m.body, m.attempts) for m in denials.claim()] == [(b"denied", 2)]


def test_a_file_of_the_former_layout_is_taken_over_whole(former, open_queue):
    assert_taken_over(open_queue(), open_queue(DENIALS))


KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from wire.queues.embedded import EmbeddedQueue
def die(sql):
    if sql.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
class Connection(sqlite3.Connection):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.set_trace_callback(die)
connect = sqlite3.connect
sqlite3.connect = lambda *args, **kwargs: connect(*args, factory=Connection, **kwargs)
EmbeddedQueue(Path(sys.argv[1]), "usage-events-dev")
"""


@pytest.mark.parametrize("step", ["BEGIN", "INSERT INTO bodies", "ALTER TABLE", "COMMIT"])
def test_kill_9_while_a_file_is_taken_over_loses_nothing(former, open_queue, step):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(former), step], cwd=ROOT, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert_taken_over(open_queue(), open_queue(DENIALS))


TAKER = """
import json, sys
from pathlib import Path
from wire.queues.base import Limits
from wire.queues.embedded import EmbeddedQueue
print("ready", flush=True)
sys.stdin.readline()
queue = EmbeddedQueue(Path(sys.argv[1]), "usage-events-dev", Limits(batch=100))
taken = []
while messages := queue.claim():
    taken += [message.body.decode() for message in messages]
print(json.dumps(taken))
"""


def test_two_processes_that_open_a_file_of_the_former_layout_at_once_share_its_messages(former):
    with ExitStack() as running:
        takers = [
            running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", TAKER, str(former)],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(3)
        ]
        for taker in takers:
            assert taker.stdout is not None
            assert taker.stdout.readline() == "ready\n"
        for taker in takers:
            assert taker.stdin is not None
            taker.stdin.write("go\n")
            taker.stdin.flush()
        taken = [body for taker in takers for body in json.loads(taker.communicate(timeout=60)[0])]
    assert all(taker.returncode == 0 for taker in takers)
    assert sorted(taken) == sorted(f"waiting {n}" for n in range(1, WAITING + 1))
