"""The embedded KV store: revs, tombstones, changes, and several processes at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.kv.base import Outcome, Write, digest_of
from wire.kv.embedded import EmbeddedKV

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def open_kv(tmp_path: Path) -> Iterator[Callable[[], EmbeddedKV]]:
    opened: list[EmbeddedKV] = []

    def make() -> EmbeddedKV:
        opened.append(EmbeddedKV(tmp_path / "kv.sqlite3"))
        return opened[-1]

    yield make
    for kv in opened:
        kv.close()


def test_an_older_rev_never_replaces_a_newer_one(open_kv):
    kv = open_kv()
    assert kv.write([Write("key:a", 2, b"two")]) == [Outcome.APPLIED]
    assert kv.write([Write("key:a", 1, b"one")]) == [Outcome.STALE]
    assert kv.write([Write("key:a", 2, b"other")]) == [Outcome.STALE]
    assert kv.write([Write("key:a", 2, b"two")]) == [Outcome.REPEATED]
    assert kv.write([Write("key:a", 3, b"three"), Write("key:b", 1, b"b")]) == [Outcome.APPLIED, Outcome.APPLIED]
    assert (kv.get("key:a"), kv.get("key:b"), kv.get("key:c")) == (b"three", b"b", None)


def test_a_deletion_is_remembered(open_kv):
    kv = open_kv()
    kv.write([Write("key:a", 1, b"one"), Write("key:a", 2, None)])
    assert kv.get("key:a") is None
    entry = kv.entry("key:a")
    assert (entry.rev, entry.body, entry.digest) == (2, None, "")
    assert kv.write([Write("key:a", 1, b"one")]) == [Outcome.STALE]  # a straggler does not revive it
    assert kv.write([Write("key:a", 2, None)]) == [Outcome.REPEATED]
    assert kv.write([Write("key:a", 3, b"anew")]) == [Outcome.APPLIED]
    assert kv.get("key:a") == b"anew"


def test_add_writes_once(open_kv):
    first, second = open_kv(), open_kv()
    assert first.add("missing:openai:x", b"first") is True
    assert second.add("missing:openai:x", b"second") is False
    assert second.get("missing:openai:x") == b"first"
    assert second.entry("missing:openai:x").digest == digest_of(b"first")


def test_listing_goes_page_by_page(open_kv):
    kv = open_kv()
    kv.write([Write(f"key:{n:03d}", 1, b"x") for n in range(25)] + [Write("key;", 1, b""), Write("kez", 1, b"")])
    kv.write([Write("key:007", 2, None)])
    names, after = [], ""
    while True:
        page = kv.list("key:", after=after, most=10)
        names += [entry.key for entry in page.entries]
        after = page.after
        if not after:
            break
    assert names == [f"key:{n:03d}" for n in range(25)]  # the deletion included
    assert kv.list("nothing:").entries == []


def test_changes_say_what_changed_since(open_kv):
    writer, reader = open_kv(), open_kv()
    writer.write([Write("key:a", 1, b"a"), Write("key:b", 1, b"b")])
    everything = reader.changes(0)
    assert everything.keys == ["key:a", "key:b"]
    assert reader.changes(everything.mark).keys == []
    writer.write([Write("key:a", 2, b"a2"), Write("key:c", 1, None), Write("key:b", 1, b"b")])
    after = reader.changes(everything.mark)
    assert sorted(after.keys) == ["key:a", "key:c"]  # a repetition changes nothing
    writer.write([Write("key:a", 3, b"a3")])
    assert writer.changes(after.mark).keys == ["key:a"]  # one's own writes too


def test_changes_of_ones_own_connection_are_seen_after_a_quiet_look(open_kv):
    kv = open_kv()
    kv.write([Write("key:a", 1, b"a")])
    mark = kv.changes(0).mark
    assert kv.changes(mark).keys == []
    kv.write([Write("key:b", 1, b"b")])
    later = kv.changes(mark)
    assert later.keys == ["key:b"]
    assert kv.changes(later.mark).keys == []
    assert kv.changes(mark).keys == ["key:b"]  # an older mark is still told


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6), st.sampled_from([b"x", b"y", None])), max_size=30))
def test_the_highest_rev_wins_whatever_the_order(tmp_path_factory, writes):
    kv = EmbeddedKV(tmp_path_factory.mktemp("kv") / "kv.sqlite3")
    expected: dict[str, tuple[int, bytes | None]] = {}
    for key, rev, body in writes:
        (outcome,) = kv.write([Write(key, rev, body)])
        newer = key not in expected or rev > expected[key][0]
        assert (outcome is Outcome.APPLIED) == newer
        if newer:
            expected[key] = (rev, body)
    assert {key: (entry.rev, entry.body) for key in expected if (entry := kv.entry(key))} == expected
    kv.close()


WRITER = """
import sys
from pathlib import Path
from wire.kv.base import Write
from wire.kv.embedded import EmbeddedKV
kv = EmbeddedKV(Path(sys.argv[1]))
for rev in range(1, 201):
    kv.write([Write("shared", rev, sys.argv[2].encode() + str(rev).encode()), Write(f"own:{sys.argv[2]}", rev, b"x")])
"""


def test_publishers_in_several_processes_do_not_interleave(open_kv, tmp_path):
    kv = open_kv()
    arguments = [sys.executable, "-c", WRITER, str(tmp_path / "kv.sqlite3")]
    writers = [subprocess.Popen([*arguments, name], cwd=ROOT) for name in ("a", "b", "c")]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert kv.entry("shared").rev == 200
    assert {kv.entry(f"own:{name}").rev for name in "abc"} == {200}
    seen = kv.changes(0)
    assert sorted(seen.keys) == ["own:a", "own:b", "own:c", "shared"]
