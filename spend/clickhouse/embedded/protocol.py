"""ClickHouse's native protocol, the server's side of it, as far as clickhouse-driver speaks it.

Packets as in ClickHouse's `src/Core/Protocol.h`. A body in FORMAT Native is exactly the protocol's block body up to
revision 54453; the next revision adds a byte a column that the format lacks, so we advertise this one.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

REVISION = 54453

CLIENT_HELLO, CLIENT_QUERY, CLIENT_DATA, CLIENT_CANCEL, CLIENT_PING = range(5)
SERVER_HELLO, SERVER_DATA, SERVER_EXCEPTION, _SERVER_PROGRESS, SERVER_PONG, SERVER_END_OF_STREAM = range(6)

_READ_AT_ONCE = 1 << 20
_EMPTY_BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"  # not overflowing, bucket -1, end


class ProtocolError(Exception):
    """The other side sent what makes no sense here; the connection cannot go on."""


class Incoming:
    """What comes in on a socket (or stands in `data`). Between `mark` and `marked` the raw bytes are kept."""

    def __init__(self, source: socket.socket | None, data: bytes = b"") -> None:
        self._source = source
        self._buffer = bytearray(data)
        self._position = 0
        self._mark: int | None = None

    def mark(self) -> None:
        """Keep what is read from here on."""
        self._mark = self._position

    def marked(self) -> bytes:
        """The bytes read since the mark."""
        kept = bytes(self._buffer[self._mark : self._position])
        self._mark = None
        return kept

    def byte(self) -> int:
        if self._position >= len(self._buffer):
            self._fill(1)
        value = self._buffer[self._position]
        self._position += 1
        return value

    def varint(self) -> int:
        """An unsigned number, seven bits a byte, the lowest first."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise ProtocolError("a number has more than 64 bits")

    def uint64(self) -> int:
        return int.from_bytes(self._take(8), "little")

    def text(self) -> str:
        return self._take(self.varint()).decode("utf-8", errors="replace")

    def skip(self, count: int) -> None:
        self._fill(count)
        self._position += count

    def skip_texts(self, count: int) -> None:
        """Pass over so many texts; most are shorter than 128 bytes, so their length is one byte."""
        buffer, position = self._buffer, self._position
        end = len(buffer)
        for _ in range(count):
            if position < end and buffer[position] < 0x80 and position + buffer[position] < end:
                position += 1 + buffer[position]
            else:  # a longer one, or one that is not here yet
                self._position = position
                self.skip(self.varint())
                position, end = self._position, len(buffer)
        self._position = position

    def _take(self, count: int) -> bytes:
        self._fill(count)
        taken = bytes(self._buffer[self._position : self._position + count])
        self._position += count
        return taken

    def _fill(self, count: int) -> None:
        """Make sure that so many bytes are there. Raises EOFError when the other side is gone."""
        while len(self._buffer) - self._position < count:
            if self._source is None:
                raise EOFError
            if self._mark is None and self._position:
                del self._buffer[: self._position]
                self._position = 0
            received = self._source.recv(_READ_AT_ONCE)
            if not received:
                raise EOFError
            self._buffer += received


def varint(value: int) -> bytes:
    """A number as `Incoming.varint` reads it."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str) -> bytes:
    """A text: its length in bytes, then its bytes."""
    encoded = value.encode()
    return varint(len(encoded)) + encoded


def read_client_info(incoming: Incoming, revision: int) -> None:
    """Pass over who asks: there is one user, and no log of queries."""
    if not incoming.byte():
        return
    incoming.skip_texts(3)
    if revision >= 54449:
        incoming.skip(8)
    incoming.byte()
    incoming.skip_texts(3)
    for _ in range(3):
        incoming.varint()
    if revision >= 54060:
        incoming.skip_texts(1)
    for since in (54448, 54401):
        if revision >= since:
            incoming.varint()
    if revision >= 54442 and incoming.byte():  # OpenTelemetry's context
        incoming.skip(24)
        incoming.skip_texts(1)
        incoming.skip(1)
    if revision >= 54453:
        for _ in range(3):
            incoming.varint()


def read_settings(incoming: Incoming) -> dict[str, str]:
    """The settings that a query carries."""
    settings = {}
    while name := incoming.text():
        incoming.byte()
        settings[name] = incoming.text()
    return settings


def read_block_info(incoming: Incoming) -> None:
    """Pass over what stands before a block's body: a table's name and the block's numbered fields."""
    incoming.skip_texts(1)
    while field := incoming.varint():
        incoming.skip({1: 1, 2: 4}[field])


def hello(revision: int, version: str) -> bytes:
    """Introduce ourselves in the way that a client of this revision understands."""
    major, minor, patch = (int(part) for part in version.split(".")[:3])
    out = varint(SERVER_HELLO) + text("ClickHouse") + varint(major) + varint(minor) + varint(REVISION)
    if revision >= 54058:
        out += text("UTC")
    if revision >= 54372:
        out += text("spendops-embedded")
    if revision >= 54401:
        out += varint(patch)
    return out


def data(body: bytes) -> bytes:
    """A packet with a block whose body is in FORMAT Native."""
    return varint(SERVER_DATA) + text("") + _EMPTY_BLOCK_INFO + body


def header(columns: Iterable[tuple[str, str]]) -> bytes:
    """The body of a block without rows, names and types only: what a server sends first."""
    pairs = list(columns)
    return varint(len(pairs)) + varint(0) + b"".join(text(name) + text(kind) for name, kind in pairs)


def exception(code: int, message: str) -> bytes:
    """A packet with an error and ClickHouse's code for it."""
    name = text("DB::Exception")
    return varint(SERVER_EXCEPTION) + code.to_bytes(4, "little") + name + text(message) + text("") + b"\x00"
