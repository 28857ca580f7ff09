"""The embedded KV store's own: what it says when its file is locked, damaged, gone, forbidden, or the disk is full."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.wire.stores import ROOT
from wire.kv.base import DocumentRefusedError, Outcome, StoreRefusedError, StoreUnavailableError, Write
from wire.kv.embedded import EmbeddedKV


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kv.sqlite3"


@pytest.fixture
def kv(path: Path) -> Iterator[EmbeddedKV]:
    with closing(EmbeddedKV(path, patience=0.1)) as opened:
        opened.write([Write("key:a", 1, b"a")])
        yield opened


CALLS: dict[str, Callable[[EmbeddedKV], object]] = {
    "get": lambda kv: kv.get("key:a"),
    "entry": lambda kv: kv.entry("key:a"),
    "get_many": lambda kv: kv.get_many(["key:a"]),
    "list": lambda kv: kv.list(""),
    "changes": lambda kv: kv.changes(0),
    "write": lambda kv: kv.write([Write("key:a", 2, b"b")]),
    "add": lambda kv: kv.add("key:b", b"b"),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


def test_while_another_process_holds_the_file_reading_goes_on_and_writing_waits(kv, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert kv.get("key:a") == b"a"
        assert kv.changes(0).keys == ["key:a"]
        for name in ("write", "add"):
            with pytest.raises(StoreUnavailableError, match=r"kv\.sqlite3 could not be used: database is locked"):
                CALLS[name](kv)
        other.execute("ROLLBACK")
    assert kv.write([Write("key:a", 2, b"b")]) == [Outcome.APPLIED]


@each_call
def test_a_file_that_was_moved_away_is_noticed(kv, path, call):
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(StoreUnavailableError, match="moved away or replaced"):
        call(kv)
    EmbeddedKV(path).close()  # a new one has taken its place
    with pytest.raises(StoreUnavailableError, match="moved away or replaced"):
        call(kv)


@each_call
def test_a_damaged_file_is_named_with_what_to_do(kv, path, call):
    kv.write([Write(f"key:{n}", 1, b"x" * 1000) for n in range(200)])
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)  # behind the first page
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StoreRefusedError, match=r"is damaged .* `manage\.py republish`"):
        call(kv)
    with pytest.raises(StoreRefusedError, match=r"is damaged .* `manage\.py republish`"):
        EmbeddedKV(path)


def test_a_file_that_is_something_else_is_refused(path):
    path.write_text("a note that somebody left here " * 100)
    with pytest.raises(StoreRefusedError, match=r"kv\.sqlite3 is damaged \(file is not a database\)"):
        EmbeddedKV(path)
    assert path.read_text().startswith("a note")


def test_a_folder_where_the_file_should_be_is_refused(path):
    path.mkdir()
    with pytest.raises(StoreRefusedError, match=r"kv\.sqlite3 cannot be used .* readable and writable"):
        EmbeddedKV(path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreRefusedError, match="cannot be opened"):
        EmbeddedKV(tmp_path / "file" / "kv.sqlite3")


def test_what_sqlite_cannot_hold_is_the_documents_fault(kv):
    for write in (Write("key:b", 2**63, b"x"), Write("\ud800", 1, b"x")):
        with pytest.raises(DocumentRefusedError):
            kv.write([Write("key:c", 1, b"beside it"), write])
    assert kv.get("key:c") is None  # all or nothing
    assert kv.write([Write("key:c", 1, b"beside it")]) == [Outcome.APPLIED]


FULL = """
import resource, sys
from pathlib import Path
from wire.kv.base import StoreUnavailableError, Write
from wire.kv.embedded import EmbeddedKV
kv = EmbeddedKV(Path(sys.argv[1]))
kv.write([Write("key:a", 1, b"a")])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
for rev in (2, 3):
    try:
        kv.write([Write("key:a", rev, b"b"), Write("key:large", rev, bytes(2_000_000))])
    except StoreUnavailableError as error:
        print(error)
print(kv.get("key:a"), kv.get("key:large"))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(*kv.write([Write("key:a", 4, b"c"), Write("key:large", 4, bytes(2_000_000))]))
"""


def test_a_full_disk_takes_nothing_of_a_batch_and_passes(path):
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    said = ended.stdout.splitlines()
    assert [line.partition(":")[0] for line in said[:2]] == ["kv.sqlite3 could not be used"] * 2
    assert said[2:] == ["b'a' None", "applied applied"]
