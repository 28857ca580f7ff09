"""chDB, the one place that imports it. What goes wrong comes out as EngineError with ClickHouse's own code."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spend.clickhouse.embedded.statements import quoted
from wire.env import SettingError

_ERROR = re.compile(r"Code: (\d+)\. ?(.*)", re.DOTALL)
_UNKNOWN, _CANNOT_WRITE = 1002, 75  # ClickHouse's codes: unknown exception, cannot write to a file


@contextmanager
def _away(*names: str) -> Iterator[None]:
    """Let an import do without packages that it would take if they were there: they cost 65 MB and half a second."""
    away = {name: None for name in names if name not in sys.modules}
    sys.modules.update(away)  # type: ignore[arg-type]  # what Python itself does to forbid an import
    try:
        yield
    finally:
        for name in away:
            del sys.modules[name]


class EngineError(Exception):
    """A statement that the engine refused."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @classmethod
    def of(cls, error: Exception) -> EngineError:
        """Read code and message out of what chDB raised."""
        found = _ERROR.search(str(error))
        return cls(int(found[1]), found[2].strip()) if found else cls(_UNKNOWN, f"DB::Exception: {error}")


class Engine:
    """One data folder, opened once a process."""

    def __init__(self, folder: Path) -> None:
        """Raises SettingError when the engine is not installed or cannot open the folder."""
        os.environ["TZ"] = "UTC"  # a server's zone is UTC: what has no zone of its own must not depend on the machine
        try:
            with _away("numpy", "pandas", "pyarrow"):
                import chdb
        except ImportError as error:
            raise SettingError(
                f"The embedded ClickHouse engine cannot be loaded ({error}): run `make setup`, "
                "or set SPENDOPS_CLICKHOUSE_URL to a ClickHouse server."
            ) from error
        self._chdb: Any = chdb
        self._folder = str(folder)
        self._incoming = folder.with_name(f"{folder.name}.incoming")  # blocks of an INSERT on their way into the engine
        shutil.rmtree(self._incoming, ignore_errors=True)  # what a killed process left was never acknowledged
        self._incoming.mkdir(mode=0o700)
        self.version: str = chdb.engine_version
        try:
            self._kept_open = chdb.connect(self._folder)  # the engine lives as long as any connection does
        except Exception as error:
            raise SettingError(
                f"The embedded ClickHouse cannot open {self._folder} ({EngineError.of(error)}): "
                "make the folder writable, or move it away to begin anew."
            ) from error

    def connect(self) -> Connection:
        """A connection of its own for one session. chDB's connections must not be used by two threads at once."""
        try:
            return Connection(self._chdb.connect(self._folder), self._incoming)
        except Exception as error:
            raise EngineError.of(error) from error

    def close(self) -> None:
        """Write what is to be written and close the folder."""
        with suppress(Exception):
            self._kept_open.close()


class Connection:
    """One session's connection to the engine. Results and rows are bytes in ClickHouse's format Native."""

    def __init__(self, connection: Any, incoming: Path) -> None:
        self._connection = connection
        self._incoming = incoming

    def run(self, sql: str, form: str = "Native") -> bytes:
        """Run any statement and return its whole result, b"" when it has none."""
        try:
            return bytes(self._connection.query(sql, form).bytes())
        except Exception as error:
            raise EngineError.of(error) from error

    def stream(self, sql: str) -> Generator[bytes, None, None]:
        """Run a SELECT and yield its result, a block at a time."""
        try:
            stream = self._connection.send_query(sql, "Native")
        except Exception as error:
            raise EngineError.of(error) from error
        try:
            for chunk in stream:
                if block := bytes(chunk.bytes()):
                    yield block
        except GeneratorExit:
            raise
        except Exception as error:
            raise EngineError.of(error) from error
        finally:
            with suppress(Exception):
                stream.close()

    def begin_insert(self, table: str, columns: str, settings: str) -> Insert:
        """Begin an INSERT whose rows follow as blocks. `columns` is "(a, b)", or "" for all."""
        return Insert(self, f"INSERT INTO {table} {columns} {settings}", self._incoming)

    def close(self) -> None:
        with suppress(Exception):
            self._connection.close()


class Insert:
    """An INSERT under way. It takes effect with `finish()`, or raises and stores nothing of its last block.

    The blocks go through a file that the engine then reads. chDB's own way of pushing blocks (`send_insert`) reports
    success for rows that the engine refused (a constraint, a failing default), which would lose them in silence.
    """

    def __init__(self, connection: Connection, into: str, folder: Path) -> None:
        self._connection = connection
        self._into = into
        descriptor, name = tempfile.mkstemp(suffix=".native", dir=folder)
        self._path = Path(name)
        self._file = os.fdopen(descriptor, "wb")

    def append(self, block: bytes) -> None:
        try:
            self._file.write(block)
        except OSError as error:
            raise EngineError(_CANNOT_WRITE, f"DB::Exception: the block could not be kept: {error}") from error

    def finish(self) -> None:
        try:
            self._file.close()
            self._connection.run(f"{self._into} SELECT * FROM file({quoted(str(self._path))}, 'Native')")  # noqa: S608 - our own path
        except OSError as error:
            raise EngineError(_CANNOT_WRITE, f"DB::Exception: the block could not be kept: {error}") from error
        finally:
            self.cancel()

    def cancel(self) -> None:
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)
