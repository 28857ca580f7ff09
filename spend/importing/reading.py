"""Files as records: CSV with a line of column names, JSON documents, JSON lines. A little of the file at a time.

A JSON document is read as a whole, so it may be 32 MB at most; larger exports have one page or row a line.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from spend.importing.rows import Bad, Record, RowError, decimal_of

DOCUMENT_MOST = 32 * 2**20
LINE_MOST = DOCUMENT_MOST
COLUMNS_MOST = 200
CSV_LINE_MOST = 8 * 2**20  # characters
csv.field_size_limit(2**20)


class FileError(ValueError):
    """A file that cannot be read at all. The message says what it should look like."""


class _Chunks(io.RawIOBase):
    """Pieces of a file as one stream."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._held = memoryview(piece)
        size = min(len(buffer), len(self._held))
        buffer[:size] = self._held[:size]
        self._held = self._held[size:]
        return size


def stream_of(pieces: Iterable[bytes]) -> io.BufferedReader:
    """Pieces of bytes as one stream."""
    return io.BufferedReader(_Chunks(pieces), 2**18)


def records(pieces: Iterable[bytes], *, form: str) -> Iterator[Record | tuple[int, Bad]]:
    """The records of a file, in its order. `form` is "csv" or "json". Raises FileError for what is no such file."""
    stream = stream_of(pieces)
    yield from _csv(stream) if form == "csv" else _json(stream)


def form_of(beginning: bytes) -> str:
    """Whether a file is JSON or CSV, as its first sign shows."""
    return "json" if beginning.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") else "csv"


def _csv(stream: io.BufferedReader) -> Iterator[Record | tuple[int, Bad]]:
    lines = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    reader = csv.reader(_bounded(lines), strict=True)
    try:
        head = next(reader, None)
        if not head:
            raise FileError("The file is empty: its first line must have the names of the columns.")
        names = [name.strip().lower() for name in head]
        if len(names) > COLUMNS_MOST or len(set(names)) < len(names):
            raise FileError("The first line must have the names of the columns, each once, 200 at most.")
        before = reader.line_num
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not cells or cells == [""]:
                continue
            if len(cells) != len(names):
                yield line, Bad(f"It has {len(cells)} cells, and there are {len(names)} columns.")
                continue
            yield Record(line, dict(zip(names, cells, strict=True)))
    except UnicodeDecodeError as error:
        raise FileError("The file is not text in UTF-8.") from error
    except csv.Error as error:
        raise FileError(f"Line {reader.line_num} is not CSV ({error}).") from error


def _bounded(lines: io.TextIOWrapper) -> Iterator[str]:
    number = 0
    while line := lines.readline(CSV_LINE_MOST + 1):
        number += 1
        if len(line) > CSV_LINE_MOST:
            raise FileError(f"Line {number} is longer than 8 million characters: that is no CSV.")
        if "\x00" in line:
            raise FileError("The file is not text: it has NUL bytes.")
        yield line


def _json(stream: io.BufferedReader) -> Iterator[Record | tuple[int, Bad]]:
    first = stream.readline(LINE_MOST + 1)
    number = 1
    while first and not first.strip(b"\xef\xbb\xbf \t\r\n"):
        first, number = stream.readline(LINE_MOST + 1), number + 1
    first = first.removeprefix(b"\xef\xbb\xbf")
    try:
        document = loads(first)
    except ValueError:
        document = None  # not a line for each: one document over many lines
    if document is None:
        rest = stream.read(DOCUMENT_MOST - len(first) + 1)
        if len(first) + len(rest) > DOCUMENT_MOST:
            raise FileError("The file is one JSON document of more than 32 MB: write one page or row a line.")
        try:
            document = loads(first + rest)
        except ValueError as error:
            raise FileError(f"The file is not JSON: {_reason(error)}") from error
        yield from _of(number, document)
        return
    yield from _of(number, document)
    while line := stream.readline(LINE_MOST + 1):
        number += 1
        if len(line) > LINE_MOST:
            raise FileError(f"Line {number} is longer than 32 MB.")
        if not line.strip():
            continue
        try:
            document = loads(line)
        except ValueError as error:
            yield number, Bad(f"It is not JSON: {_reason(error)}")
            continue
        yield from _of(number, document)


def loads(text: bytes | str) -> Any:
    """JSON whose numbers are exact. Raises ValueError."""
    try:
        return json.loads(text, parse_float=decimal_of, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _refuse(name: str) -> None:
    raise RowError(f"{name} is no number.")


def _of(line: int, document: Any) -> Iterator[Record | tuple[int, Bad]]:
    for item in document if isinstance(document, list) else [document]:
        if isinstance(item, dict):
            yield Record(line, item)
        else:
            yield line, Bad("It is not a JSON object.")


def _reason(error: ValueError) -> str:
    return f"{str(error).rstrip('.')}." if not isinstance(error, UnicodeDecodeError) else "it is not text in UTF-8."
