"""The file of a backup: gzipped JSON lines, read and written a document at a time.

    {"schema":1,"what":"spendops kv backup","env":"dev","store":"embedded","made_at":"…","count":2}
    {"key":"key:…","rev":3,"body":"{…}"}           a document; "body64" where it is not text
    {"key":"key:…","rev":9}                        a deletion that the store remembers
    {"count":2,"sha256":"…"}                       of all lines above: the documents' first, the header's last

The parts are gzip members behind each other, which every tool reads as one (`zcat`).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from publishing.errors import BackupError
from wire.kv.base import Entry, digest_of

SCHEMA = 1
WHAT = "spendops kv backup"
SUFFIX = ".jsonl.gz"
UNFINISHED = ".unfinished"  # how names end that a backup has until it is whole
LINE_LONGEST = 64 * 2**20  # bytes


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is of."""

    schema: int = SCHEMA
    what: str = WHAT
    env: str
    store: str
    made_at: str
    count: int


class _Line(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    key: str
    rev: int
    body: str | None = None
    body64: str | None = None


class _Trailer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    count: int
    sha256: str


class Writing:
    """Writes a backup. It stands under its name only when it is whole and on the disk: `finish()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._digest = hashlib.sha256()
        self._whole = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
        self._part = self._whole.with_name(f"{self._whole.name}-documents{UNFINISHED}")
        self._raw = _created(self._part)
        self._documents = gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, compresslevel=6, mtime=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._documents.close()
        self._raw.close()
        for path in (self._part, self._whole):
            path.unlink(missing_ok=True)

    def add(self, entry: Entry) -> None:
        """Write a document, or a deletion that the store remembers."""
        line = msgspec.json.encode(_line_of(entry)) + b"\n"
        self._documents.write(line)
        self._digest.update(line)
        self.count += 1

    def finish(self, *, env: str, store: str, made_at: str) -> None:
        """Put header and trailer around what was written, and the file under its name."""
        self._documents.close()
        header = msgspec.json.encode(Header(env=env, store=store, made_at=made_at, count=self.count)) + b"\n"
        self._digest.update(header)
        trailer = msgspec.json.encode(_Trailer(self.count, self._digest.hexdigest())) + b"\n"
        self._raw.seek(0)
        with _created(self._whole) as whole:
            whole.write(gzip.compress(header, mtime=0))
            shutil.copyfileobj(self._raw, whole)
            whole.write(gzip.compress(trailer, mtime=0))
            whole.flush()
            os.fsync(whole.fileno())
        self._whole.rename(self.path)
        _sync_folder(self.path.parent)


class Reading:
    """A backup that was read once from end to end and is whole. Its file stays open: nothing is put in its place."""

    def __init__(self, path: Path) -> None:
        """Raises BackupError with what is wrong with the file."""
        try:
            self._raw = path.open("rb")
        except OSError as error:
            raise BackupError(f"{path} cannot be read ({error.strerror}): name a file that kv_backup wrote.") from error
        self._path = path
        try:
            self.header = self._verified()
        except BaseException:
            self._raw.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._raw.close()

    def entries(self) -> Iterator[Entry]:
        """All documents and deletions, in the order in which the store listed them."""
        lines = self._lines()
        next(lines)
        before: bytes | None = None
        for line in lines:
            if before is not None:
                yield self._entry(before)
            before = line  # the last one is the trailer

    def _verified(self) -> Header:
        try:
            return self._verify()
        except (OSError, EOFError, zlib.error) as error:
            raise self._broken("it is cut off, or was damaged") from error

    def _verify(self) -> Header:
        lines = self._lines()
        first = next(lines, b"")
        header = self._header(first)
        digest, count, last = hashlib.sha256(), 0, b""
        for line in lines:
            if last:
                self._entry(last)
                digest.update(last)
                count += 1
            last = line
        digest.update(first)
        try:
            trailer = msgspec.json.decode(last, type=_Trailer)
        except msgspec.DecodeError:
            raise self._broken("its end is missing") from None
        if trailer != _Trailer(count, digest.hexdigest()) or header.count != count:
            raise self._broken("its content does not fit its checksum")
        return header

    def _header(self, line: bytes) -> Header:
        try:
            header = msgspec.json.decode(line, type=Header)
        except msgspec.DecodeError:
            header = None
        if header is None or header.what != WHAT:
            raise BackupError(f"{self._path.name} is no backup of a KV namespace: name a file that kv_backup wrote.")
        if header.schema != SCHEMA:
            raise BackupError(
                f"{self._path.name} is of form {header.schema}, and this version reads form {SCHEMA}: "
                "restore it with the version that wrote it."
            )
        return header

    def _entry(self, line: bytes) -> Entry:
        try:
            found = msgspec.json.decode(line, type=_Line)
            body = None if found.body is None else found.body.encode()
            body = body if found.body64 is None else base64.b64decode(found.body64, validate=True)
        except (msgspec.DecodeError, ValueError):
            raise self._broken("one of its lines cannot be read") from None
        return Entry(found.key, found.rev, digest_of(body), body)

    def _lines(self) -> Iterator[bytes]:
        self._raw.seek(0)
        with gzip.GzipFile(fileobj=self._raw, mode="rb") as unpacked:
            while line := unpacked.readline(LINE_LONGEST):
                yield line

    def _broken(self, why: str) -> BackupError:
        return BackupError(f"{self._path.name} is not whole: {why}. Nothing was restored. Take another backup.")


def unfinished_in(folder: Path) -> Iterator[Path]:
    """What backups that were killed left behind, or what others are writing."""
    return folder.glob(f".*{UNFINISHED}")


def _line_of(entry: Entry) -> _Line:
    if entry.body is None:
        return _Line(entry.key, entry.rev)
    with suppress(UnicodeDecodeError):
        return _Line(entry.key, entry.rev, body=entry.body.decode())
    return _Line(entry.key, entry.rev, body64=base64.b64encode(entry.body).decode())


def _created(path: Path) -> IO[bytes]:
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")


def _sync_folder(folder: Path) -> None:
    """So that the name survives a loss of power, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
