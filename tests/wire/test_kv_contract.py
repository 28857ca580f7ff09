"""What every KV store does: revs, deletions, batches, odd keys, listings, changes, several processes."""

from __future__ import annotations

import os
import threading
import time
from secrets import token_hex

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wire.stores import another_process, only_stores_that
from wire.kv.base import Entry, Outcome, Page, Write, digest_of

DEADLINE = 10  # seconds


def whole_listing(kv, prefix: str, most: int) -> list[Entry]:
    entries, after = [], ""
    while True:
        page = kv.list(prefix, after=after, most=most)
        assert len(page.entries) <= most
        entries += page.entries
        after = page.after
        if not after:
            return entries


def test_what_is_written_is_read(kv, open_store):
    assert kv.write([Write("key:a", 7, b"seven"), Write("key:empty", 1, b"")]) == [Outcome.APPLIED, Outcome.APPLIED]
    for reader in (kv, open_store()):
        assert (reader.get("key:a"), reader.get("key:empty"), reader.get("key:b")) == (b"seven", b"", None)
        assert reader.entry("key:a") == Entry("key:a", 7, digest_of(b"seven"), b"seven")
        assert reader.entry("key:empty") == Entry("key:empty", 1, digest_of(b""), b"")
        assert reader.entry("key:b") is None


def test_a_newer_rev_replaces_an_older_one(kv):
    kv.write([Write("key:a", 1, b"one")])
    assert kv.write([Write("key:a", 2, b"two")]) == [Outcome.APPLIED]
    assert kv.entry("key:a") == Entry("key:a", 2, digest_of(b"two"), b"two")


@only_stores_that("compares")
def test_an_older_rev_never_replaces_a_newer_one(kv):
    assert kv.write([Write("key:a", 2, b"two")]) == [Outcome.APPLIED]
    assert kv.write([Write("key:a", 1, b"one")]) == [Outcome.STALE]
    assert kv.write([Write("key:a", 2, b"other")]) == [Outcome.STALE]
    assert kv.write([Write("key:a", 2, b"two")]) == [Outcome.REPEATED]
    assert kv.write([Write("key:a", 3, b"three"), Write("key:b", 1, b"b")]) == [Outcome.APPLIED, Outcome.APPLIED]
    assert (kv.get("key:a"), kv.get("key:b"), kv.get("key:c")) == (b"three", b"b", None)


@only_stores_that("compares")
@pytest.mark.parametrize("rev", [9, 99, 2**31 - 1, 2**53 - 1, 2**53, 2**62])
def test_revs_are_compared_exactly(kv, rev):
    """As numbers, not as texts, and beyond what a double holds."""
    assert kv.write([Write("key:a", rev + 1, b"next"), Write("key:a", rev, b"old")]) == [Outcome.APPLIED, Outcome.STALE]
    assert kv.write([Write("key:a", rev + 2, b"newest")]) == [Outcome.APPLIED]
    assert kv.entry("key:a") == Entry("key:a", rev + 2, digest_of(b"newest"), b"newest")


def test_a_deletion_takes_the_document_away(kv):
    kv.write([Write("key:a", 1, b"one"), Write("key:b", 1, b"one")])
    kv.write([Write("key:a", 2, None)])
    assert kv.get("key:a") is None
    found = kv.entry("key:a")
    assert found is None or found.deleted
    assert [entry.key for entry in whole_listing(kv, "key:", 100) if not entry.deleted] == ["key:b"]
    assert kv.write([Write("key:a", 3, b"anew")]) == [Outcome.APPLIED]
    assert kv.get("key:a") == b"anew"


@only_stores_that("remembers_deletions")
def test_a_deletion_is_remembered(kv):
    kv.write([Write("key:a", 1, b"one"), Write("key:a", 2, None)])
    assert kv.entry("key:a") == Entry("key:a", 2, "", None)
    assert kv.entry("key:a").deleted
    assert kv.write([Write("key:a", 1, b"one")]) == [Outcome.STALE]  # a straggler does not revive it
    assert kv.write([Write("key:a", 2, b"two")]) == [Outcome.STALE]
    assert kv.write([Write("key:a", 2, None)]) == [Outcome.REPEATED]
    assert kv.add("key:a", b"added") is False
    assert kv.write([Write("key:a", 3, b"anew")]) == [Outcome.APPLIED]
    assert kv.get("key:a") == b"anew"
    assert kv.write([Write("never", 4, None), Write("never", 3, b"late")]) == [Outcome.APPLIED, Outcome.STALE]


@only_stores_that("compares")
def test_a_batch_says_of_each_write_what_became_of_it(kv):
    assert kv.write([]) == []
    kv.write([Write("b", 5, b"five")])
    batch = [
        Write("a", 1, b"x"),
        Write("b", 4, b"four"),
        Write("b", 5, b"five"),
        Write("a", 1, b"x"),
        Write("a", 2, b"y"),
    ]
    assert kv.write(batch) == [Outcome.APPLIED, Outcome.STALE, Outcome.REPEATED, Outcome.REPEATED, Outcome.APPLIED]
    assert (kv.get("a"), kv.get("b")) == (b"y", b"five")


def test_an_empty_batch_does_nothing(kv):
    assert kv.write([]) == []
    assert kv.get_many([]) == {}
    assert kv.list("") == Page([], "")


def test_thousands_at_once(kv, store_kind):
    writes = [Write(f"key:{n:064d}", 1, f"document {n}".encode() * 20) for n in range(store_kind.many)]
    assert kv.write(writes) == [Outcome.APPLIED] * len(writes)
    assert [entry.key for entry in whole_listing(kv, "key:", 1000)] == [write.key for write in writes]
    some = {write.key: write.body for write in writes[::7]}
    found = kv.get_many([*some, "key:absent"])
    assert {key: entry.body for key, entry in found.items()} == some


KEYS = [
    "missing:openai:gpt%2F4%20o",
    "missing:openai:gpt/4/../o",
    "with space, comma; {braces} [brackets] *? and \"quotes' \\",
    "kľúč:ключ:鍵:🗝",
    "e\u0301",  # not the same as the next
    "\u00e9",
    "\U0010fffd",
    "line\nbreak",
    "long:" + "x" * 507,  # 512 bytes
    "é" * 256,  # the same, in two bytes each
    "key:a",
    "key:a ",
    "KEY:A",
    "0",
]


def test_keys_are_any_text(kv):
    writes = [Write(key, number, f"of {number}".encode()) for number, key in enumerate(KEYS, 1)]
    kv.write(writes)
    for write in writes:
        assert kv.get(write.key) == write.body
        assert kv.entry(write.key) == Entry(write.key, write.rev, digest_of(write.body), write.body)
    assert set(kv.get_many(KEYS)) == set(KEYS)
    assert [entry.key for entry in whole_listing(kv, "", 1000)] == sorted(KEYS)
    assert [entry.key for entry in whole_listing(kv, "key:", 1000)] == ["key:a", "key:a "]
    kv.write([Write(write.key, write.rev + 1, None) for write in writes])
    assert [kv.get(key) for key in KEYS] == [None] * len(KEYS)


@pytest.mark.parametrize(
    "body",
    [bytes(range(256)), b"\r\n$5\r\nhello", b"\x00", b"\xff\xfe", "naïve – 🗝".encode(), os.urandom(5 * 2**20)],
    ids=["every byte", "protocol", "zero", "no text", "unicode", "5 MiB"],
)
def test_bodies_are_any_bytes(kv, open_store, body):
    kv.write([Write("other", 1, b"other"), Write("key:a", 1, body)])
    assert open_store().get("key:a") == body
    assert kv.entry("key:a") == Entry("key:a", 1, digest_of(body), body)
    assert kv.get_many(["key:a"])["key:a"].body == body


def test_a_batch_of_large_bodies(kv):
    bodies = {f"key:{n}": os.urandom(2**20 + n) for n in range(12)}
    kv.write([Write(key, 1, body) for key, body in bodies.items()])
    assert {key: entry.body for key, entry in kv.get_many(list(bodies)).items()} == bodies


def test_add_writes_once(open_store):
    first, second = open_store(), open_store()
    assert first.add("missing:openai:x", b"first") is True
    assert second.add("missing:openai:x", b"second") is False
    assert first.add("missing:openai:x", b"first") is False
    assert second.entry("missing:openai:x") == Entry("missing:openai:x", 1, digest_of(b"first"), b"first")


def test_listing_goes_page_by_page(kv):
    kv.write([Write(f"key:{n:03d}", 1, b"x%d" % n) for n in range(25)])
    kv.write([Write("key;", 1, b""), Write("kez", 1, b""), Write("kex", 1, b"")])
    entries = whole_listing(kv, "key:", 10)
    assert [entry.key for entry in entries] == [f"key:{n:03d}" for n in range(25)]
    assert {(entry.rev, entry.digest) for entry in entries[:1]} == {(1, digest_of(b"x0"))}
    assert [len(kv.list("key:", most=most).entries) for most in (1, 5, 25, 26)] == [1, 5, 25, 25]
    assert kv.list("nothing:") == Page([], "")


@only_stores_that("lists_bodies", "remembers_deletions")
def test_a_listing_has_bodies_and_remembered_deletions(kv):
    kv.write([Write("key:a", 1, b"a"), Write("key:b", 1, b"b"), Write("key:b", 2, None)])
    assert kv.list("key:").entries == [Entry("key:a", 1, digest_of(b"a"), b"a"), Entry("key:b", 2, "", None)]


def test_a_listing_loses_nothing_while_others_write(kv, open_store):
    """Keys that come and go between two pages neither hide others nor show them twice."""
    other = open_store()
    lasting = [f"key:{n:03d}" for n in range(0, 100, 2)]
    kv.write([Write(key, 1, b"x") for key in lasting])
    seen, after, page_number = [], "", 0
    while True:
        page = kv.list("key:", after=after, most=10)
        seen += [entry.key for entry in page.entries]
        after = page.after
        if not after:
            break
        page_number += 1
        other.write([Write(f"key:{n:03d}", page_number, b"passing") for n in range(1, 100, 2 * page_number)])
        other.write([Write("key:001", page_number + 100, None)])
        other.write([Write(key, page_number + 1, b"changed") for key in lasting])
    assert [key for key in seen if key in lasting] == lasting
    assert len(seen) == len(set(seen))


def test_namespaces_know_nothing_of_each_other(open_store):
    one, other = open_store("one"), open_store("one-more")
    one.write([Write("key:a", 9, b"one"), Write("key:only", 1, b"one")])
    assert other.get("key:a") is None
    assert other.list("") == Page([], "")
    assert other.write([Write("key:a", 1, b"other")]) == [Outcome.APPLIED]
    other.write([Write("key:a", 2, None)])
    assert one.get("key:a") == b"one"
    assert [entry.key for entry in whole_listing(one, "", 100)] == ["key:a", "key:only"]


@only_stores_that("tells_changes")
def test_namespaces_have_changes_of_their_own(open_store):
    one, other = open_store("one"), open_store("one-more")
    one.write([Write("key:a", 1, b"one")])
    assert other.changes(0).keys == []
    other.write([Write("key:b", 1, b"other")])
    assert (one.changes(0).keys, other.changes(0).keys) == (["key:a"], ["key:b"])
    assert one.changes(0).epoch != other.changes(0).epoch


@only_stores_that("compares", "remembers_deletions")
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6), st.sampled_from([b"x", b"y", None])), max_size=30))
def test_the_highest_rev_wins_whatever_the_order(kv, writes):
    before = token_hex(8)  # keys of their own for each example
    expected: dict[str, tuple[int, bytes | None]] = {}
    for name, rev, body in writes:
        key = before + name
        (outcome,) = kv.write([Write(key, rev, body)])
        newer = key not in expected or rev > expected[key][0]
        same = not newer and expected[key] == (rev, body)
        assert outcome is (Outcome.APPLIED if newer else Outcome.REPEATED if same else Outcome.STALE)
        if newer:
            expected[key] = (rev, body)
    assert {key: (entry.rev, entry.body) for key in expected if (entry := kv.entry(key))} == expected
    at_once = [Write(before + "once" + name, rev, body) for name, rev, body in writes]
    kv.write(at_once)
    found = {key: (entry.rev, entry.body) for key, entry in kv.get_many([write.key for write in at_once]).items()}
    assert found == {key.replace(before, before + "once"): held for key, held in expected.items()}


WRITER = """
for rev in range(1, 201):
    kv.write([Write("shared", rev, sys.argv[1].encode() + str(rev).encode()), Write(f"own:{sys.argv[1]}", rev, b"x")])
    kv.add(f"added:{rev}", sys.argv[1].encode())
"""


@only_stores_that("compares", "tells_changes")
def test_publishers_in_several_processes_do_not_interleave(kv, store_settings):
    writers = [another_process(WRITER, store_settings(), name) for name in ("a", "b", "c")]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert kv.entry("shared").rev == 200
    assert {kv.entry(f"own:{name}").rev for name in "abc"} == {200}
    seen = kv.changes(0)
    assert sorted(seen.keys) == sorted(["own:a", "own:b", "own:c", "shared", *(f"added:{n}" for n in range(1, 201))])
    assert seen.mark == 1000  # 200 of the shared key, 600 of their own, 200 added: each was applied once


@only_stores_that("tells_changes")
def test_changes_say_what_changed_since(open_store):
    writer, reader = open_store(), open_store()
    assert reader.changes(0).keys == []
    writer.write([Write("key:a", 1, b"a"), Write("key:b", 1, b"b")])
    everything = reader.changes(0)
    assert sorted(everything.keys) == ["key:a", "key:b"]
    assert reader.changes(everything.mark) == everything._replace(keys=[])
    writer.write([Write("key:a", 2, b"a2"), Write("key:c", 1, None), Write("key:b", 1, b"b")])
    after = reader.changes(everything.mark)
    assert sorted(after.keys) == ["key:a", "key:c"]  # a repetition changes nothing
    assert after.mark > everything.mark
    writer.write([Write("key:a", 3, b"a3")])
    writer.add("key:added", b"x")
    assert sorted(writer.changes(after.mark).keys) == ["key:a", "key:added"]  # one's own writes too
    assert sorted(reader.changes(0).keys) == ["key:a", "key:added", "key:b", "key:c"]
    assert reader.changes(0).epoch == writer.changes(0).epoch == everything.epoch != ""


@only_stores_that("tells_changes")
def test_changes_of_ones_own_connection_are_seen_after_a_quiet_look(kv):
    kv.write([Write("key:a", 1, b"a")])
    mark = kv.changes(0).mark
    assert kv.changes(mark).keys == []
    kv.write([Write("key:b", 1, b"b")])
    later = kv.changes(mark)
    assert later.keys == ["key:b"]
    assert kv.changes(later.mark).keys == []
    assert kv.changes(mark).keys == ["key:b"]  # an older mark is still told


@only_stores_that("tells_changes")
def test_many_changes_are_told_completely(open_store):
    writer, reader = open_store(), open_store()
    writer.write([Write(f"key:{n}", 1, b"x") for n in range(12_000)])
    first = reader.changes(0)
    assert sorted(first.keys) == sorted(f"key:{n}" for n in range(12_000))
    writer.write([Write(f"key:{n}", 2, b"x") for n in range(0, 12_000, 2)])
    assert sorted(reader.changes(first.mark).keys) == sorted(f"key:{n}" for n in range(0, 12_000, 2))


@only_stores_that("tells_changes")
def test_whoever_listens_is_woken_by_another_process(kv, store_settings):
    kv.write([Write("key:a", 1, b"a")])
    mark = kv.changes(0).mark
    woken = threading.Event()
    tells = kv.listen(woken.set)
    woken.clear()
    writer = another_process('kv.write([Write("key:b", 1, b"b")])', store_settings())
    deadline = time.monotonic() + DEADLINE
    if tells:
        assert woken.wait(DEADLINE)
        assert kv.changes(mark).keys == ["key:b"]
    else:  # then it is cheap to ask
        while not kv.changes(mark).keys:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    assert writer.wait(DEADLINE) == 0


def test_a_closed_store_is_opened_again_as_it_was(open_store, store_kind):
    first = open_store()
    first.write([Write("key:a", 2, b"a"), Write("key:b", 1, b"b")])
    before = first.changes(0) if store_kind.tells_changes else None
    first.close()
    second = open_store()
    assert second.entry("key:a") == Entry("key:a", 2, digest_of(b"a"), b"a")
    if store_kind.tells_changes:
        assert second.changes(0) == before
