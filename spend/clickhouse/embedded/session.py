"""One client's connection: its handshake, then its statements, one after the other."""

from __future__ import annotations

import contextlib
import hmac
import json
import socket
import socketserver
from itertools import chain
from typing import TYPE_CHECKING

import structlog

from spend.clickhouse.embedded import protocol
from spend.clickhouse.embedded.blocks import UnknownTypeError, pass_over_block
from spend.clickhouse.embedded.engine import Connection, EngineError, Insert
from spend.clickhouse.embedded.protocol import Incoming, ProtocolError
from spend.clickhouse.embedded.statements import (
    SETTING_NAME,
    InsertOfBlocks,
    brings_small_answer,
    brings_stream,
    identifier,
    insert_of_blocks,
    quoted,
    without_comments,
)

if TYPE_CHECKING:
    from spend.clickhouse.embedded.server import EmbeddedServer

logger = structlog.get_logger(__name__)

WRITE_BUFFER = 1 << 16
# ClickHouse's own codes
NOT_IMPLEMENTED, UNKNOWN_SETTING, TOO_MANY_CONNECTIONS, AUTHENTICATION_FAILED = 48, 115, 203, 516


class Session(socketserver.BaseRequestHandler):
    """A connection with an engine connection of its own, because the engine wants one for each thread."""

    server: EmbeddedServer

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming = Incoming(self.request)
        self.out = self.request.makefile("wb", WRITE_BUFFER)
        self.revision = 0
        self.changed_settings: dict[str, str] = {}
        self.engine: Connection | None = None

    def handle(self) -> None:
        with contextlib.suppress(EOFError, ProtocolError, OSError), self.server.place() as free:
            database = self._hello(free)
            self.engine = self.server.engine.connect()
            if database and database != "default":
                with contextlib.suppress(EngineError):  # as with a server, it is the first statement that fails
                    self.engine.run(f"USE {identifier(database)}")
            while True:
                self._packet(self.engine, self.incoming.varint())

    def finish(self) -> None:
        if self.engine is not None:
            self.engine.close()
        with contextlib.suppress(OSError):
            self.out.close()

    def _hello(self, free: bool) -> str:
        """The handshake; the database that the client wants."""
        if self.incoming.varint() != protocol.CLIENT_HELLO:
            raise ProtocolError("a connection begins with a hello")
        self.incoming.skip_texts(1)
        self.incoming.varint()
        self.incoming.varint()
        self.revision = min(protocol.REVISION, self.incoming.varint())
        database, _user, password = (self.incoming.text() for _ in range(3))
        if not free:
            self._turn_away(TOO_MANY_CONNECTIONS, f"all {self.server.connections_most} connections are in use")
        if not hmac.compare_digest(password.encode(), self.server.password.encode()):
            self._turn_away(AUTHENTICATION_FAILED, "authentication failed: the password is wrong")
        self._send(protocol.hello(self.revision, self.server.engine.version))
        return database

    def _turn_away(self, code: int, message: str) -> None:
        self._send(protocol.exception(code, f"DB::Exception: {message}"))
        raise ProtocolError(message)

    def _send(self, packet: bytes) -> None:
        self.out.write(packet)
        self.out.flush()

    def _packet(self, engine: Connection, kind: int) -> None:
        if kind == protocol.CLIENT_QUERY:
            self._query(engine)
        elif kind == protocol.CLIENT_PING:
            self._send(protocol.varint(protocol.SERVER_PONG))
        elif kind != protocol.CLIENT_CANCEL:  # nothing runs on this connection that could be cancelled
            raise ProtocolError(f"unexpected packet {kind}")

    def _query(self, engine: Connection) -> None:
        incoming = self.incoming
        incoming.skip_texts(1)
        protocol.read_client_info(incoming, self.revision)
        settings = protocol.read_settings(incoming)
        if self.revision >= 54441:
            incoming.skip_texts(1)
        incoming.varint()
        compressed = incoming.varint()
        sql = incoming.text()
        external_rows, _ = self._block()
        try:
            if compressed:
                raise EngineError(NOT_IMPLEMENTED, "DB::Exception: the embedded engine speaks uncompressed blocks only")
            if external_rows:
                raise EngineError(NOT_IMPLEMENTED, "DB::Exception: the embedded engine takes no external tables")
            self._apply(engine, settings)
            self._run(engine, without_comments(sql))
        except EngineError as error:
            logger.debug("statement refused", code=error.code, error=str(error)[:500])
            self._send(protocol.exception(error.code, str(error)))
        else:
            self._send(protocol.varint(protocol.SERVER_END_OF_STREAM))

    def _apply(self, engine: Connection, settings: dict[str, str]) -> None:
        """Settings hold for one statement: what an earlier one changed goes back to its default.

        Most statements of a connection come with the same ones, so only what differs is told to the engine.
        """
        for name in sorted(self.changed_settings.keys() - settings.keys()):
            engine.run(f"SET {name} = DEFAULT")
            del self.changed_settings[name]
        changes = {name: value for name, value in settings.items() if self.changed_settings.get(name) != value}
        for name in changes:
            if not SETTING_NAME.match(name):
                raise EngineError(UNKNOWN_SETTING, f"DB::Exception: {name!r} is not the name of a setting")
        if changes:
            engine.run(f"SET {', '.join(f'{name} = {quoted(value)}' for name, value in changes.items())}")
            self.changed_settings |= changes

    def _run(self, engine: Connection, sql: str) -> None:
        insert = insert_of_blocks(sql)
        if insert is not None:
            self._insert(engine, insert)
        elif brings_stream(sql):
            self._stream(engine, sql)
        else:
            answer = engine.run(sql)
            if answer and brings_small_answer(sql):
                self.out.write(protocol.data(answer))

    def _stream(self, engine: Connection, sql: str) -> None:
        """Send a SELECT's header and blocks.

        The header is read from the first block, so that most questions are looked at by the engine once only. While a
        stream is open the engine answers nothing else.
        """
        blocks = engine.stream(sql)
        first = next(blocks, None)
        header = None if first is None else _header_of(first)
        if header is None:
            blocks.close()
            header, blocks, first = _header(engine, sql), engine.stream(sql), None
        self.out.write(protocol.data(header))
        for block in blocks if first is None else chain((first,), blocks):
            self.out.write(protocol.data(block))

    def _insert(self, engine: Connection, insert: InsertOfBlocks) -> None:
        """Take blocks until an empty one. After a failure the rest is still read, so that the connection can go on."""
        columns = insert.columns[1:-1] if insert.columns else "*"
        self._send(protocol.data(_header(engine, f"SELECT {columns} FROM {insert.table}")))  # noqa: S608
        target: Insert | None = None
        failure: EngineError | None = None
        while True:
            rows, body = self._block()
            if not rows:
                break
            if failure is not None:
                continue
            try:
                if target is None:
                    target = engine.begin_insert(insert.table, insert.columns, insert.settings)
                target.append(body)
            except EngineError as error:
                failure = error
        if failure is not None:
            if target is not None:
                target.cancel()
            raise failure
        if target is not None:
            target.finish()

    def _block(self) -> tuple[int, bytes]:
        """Read a data packet: its number of rows, and the block's body as it came."""
        kind = self.incoming.varint()
        if kind != protocol.CLIENT_DATA:
            raise ProtocolError(f"expected a block, got packet {kind}")
        protocol.read_block_info(self.incoming)
        self.incoming.mark()
        try:
            rows, _ = pass_over_block(self.incoming)
        except UnknownTypeError as error:
            self._turn_away(NOT_IMPLEMENTED, f"the embedded engine cannot take a column of type {error}")
            raise
        return rows, self.incoming.marked()


def _header_of(block: bytes) -> bytes | None:
    """What `_header` says, read from a block; None when it has a column of an unusual type."""
    try:
        _, columns = pass_over_block(Incoming(None, block))
    except UnknownTypeError:
        return None
    return protocol.header(columns)


def _header(engine: Connection, sql: str) -> bytes:
    """Names and types of what a SELECT would bring."""
    described = json.loads(engine.run(f"DESCRIBE ({sql})", "JSONCompact"))
    return protocol.header((row[0], row[1]) for row in described["data"])
