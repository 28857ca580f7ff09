"""The one door to ClickHouse.

Every question names its purpose and the tenant it is about, or says that it concerns all of them; SQL without the
tenant filter is not sent. Connections are pooled; each is used by one thread at a time.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from queue import Empty, LifoQueue
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ErrorCodes, NetworkError, ServerException, SocketTimeoutError
from django.conf import settings

from spend.clickhouse.errors import RefusedError, StoppedError, TenantFilterError, TooMuchError, UnavailableError
from spend.clickhouse.switch import refuse_when_off

CONNECT_SECONDS = 3
ANSWER_SECONDS = 30
QUESTION_SECONDS = 20
ROWS_MOST = 200_000
POOL_MOST = 8
TENANT_FILTER = "tenant_id = %(tenant_id)s"

_TOO_MUCH = {ErrorCodes.TIMEOUT_EXCEEDED, ErrorCodes.TOO_MANY_ROWS_OR_BYTES, ErrorCodes.TOO_MANY_ROWS}
_QUESTION = {
    "max_execution_time": QUESTION_SECONDS,
    "max_result_rows": ROWS_MOST,
    "do_not_merge_across_partitions_select_final": 1,  # a row's partition follows from its key
}

_pool: LifoQueue[Client] = LifoQueue()


def database() -> str:
    """The name of our database."""
    return urlsplit(settings.CLICKHOUSE_URL).path.lstrip("/") or "spendops"


def ask(
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    purpose: str,
    tenant_id: str | None = None,
    across_tenants: bool = False,
) -> list[tuple[Any, ...]]:
    """Ask a question and return its rows.

    With `tenant_id` the SQL must hold `tenant_id = %(tenant_id)s`, or TenantFilterError is raised and nothing is sent.
    A dead connection is replaced once: questions change nothing, so they can be asked again. Raises UnavailableError
    (also while pages are switched off, and when somebody stopped the question), TooMuchError or RefusedError.
    """
    refuse_when_off()
    values = dict(parameters or {})
    if tenant_id is not None:
        if TENANT_FILTER not in sql:
            raise TenantFilterError(f"The question {purpose!r} does not filter by tenant: write {TENANT_FILTER}.")
        values["tenant_id"] = tenant_id
    elif not across_tenants:
        raise TenantFilterError(f"The question {purpose!r} names no tenant: pass tenant_id, or across_tenants=True.")
    options = _QUESTION | {"log_comment": json.dumps({"purpose": purpose, "tenant": tenant_id or "*"})}
    try:
        with _client() as client:
            return _rows(client.execute(sql, values, settings=options, query_id=_new_id()))
    except StoppedError:
        raise
    except UnavailableError:
        with _client(fresh=True) as client:
            return _rows(client.execute(sql, values, settings=options, query_id=_new_id()))


def command(sql: str, parameters: Mapping[str, Any] | None = None, *, purpose: str) -> None:
    """Run a statement that changes something. Never repeated by itself: the caller knows whether it may be."""
    with _client() as client:
        client.execute(sql, dict(parameters or {}), settings={"log_comment": json.dumps({"purpose": purpose})})


def insert(table: str, columns: Mapping[str, Sequence[Any]], *, purpose: str) -> None:
    """Insert rows given as columns. When this returns, they are stored; when it raises, they may be.

    Rows of one insert that replace each other stay until parts are merged, as those of different inserts do: read with
    FINAL. To look for them at once (`optimize_on_insert`) takes half of the engine's time for an insert.
    """
    with _client() as client:
        client.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES",
            list(columns.values()),
            columnar=True,
            types_check=False,
            settings={"log_comment": json.dumps({"purpose": purpose}), "optimize_on_insert": 0},
        )


def connect(database_name: str) -> Client:
    """A connection of one's own, outside the pool. Connects on first use."""
    parts = urlsplit(settings.CLICKHOUSE_URL)
    return Client(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 9000,
        user=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=database_name,
        secure=parts.scheme == "clickhouses",
        connect_timeout=CONNECT_SECONDS,
        send_receive_timeout=ANSWER_SECONDS,
        compression=False,
        client_name="spendops",
    )


def forget_connections() -> None:
    """Close the pooled connections; the next use connects anew."""
    with contextlib.suppress(Empty):
        while True:
            _pool.get_nowait().disconnect()


def _new_id() -> str:
    """Ours, so that a question in ClickHouse's log and list is known to be of this program."""
    return f"spendops-{uuid4()}"


def _rows(answer: Any) -> list[tuple[Any, ...]]:
    return list(answer)


@contextlib.contextmanager
def _client(*, fresh: bool = False) -> Iterator[Client]:
    if fresh:
        forget_connections()
    try:
        client = _pool.get_nowait()
    except Empty:
        client = connect(database())
    try:
        with translated():
            yield client
    except BaseException:
        client.disconnect()  # what is left on the wire belongs to nobody
        raise
    if _pool.qsize() < POOL_MOST:
        _pool.put(client)
    else:
        client.disconnect()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except (NetworkError, SocketTimeoutError, EOFError, OSError) as error:
        raise UnavailableError(f"ClickHouse does not answer ({type(error).__name__}).") from error
    except ServerException as error:
        message = str(error.message).splitlines()[0]
        if error.code == ErrorCodes.QUERY_WAS_CANCELLED:
            raise StoppedError("The question was stopped by whoever runs this installation.") from error
        kind = TooMuchError if error.code in _TOO_MUCH else RefusedError
        raise kind(error.code, f"ClickHouse refused a statement: {message}") from error
    except Error as error:
        raise UnavailableError(f"The connection to ClickHouse broke ({type(error).__name__}).") from error
