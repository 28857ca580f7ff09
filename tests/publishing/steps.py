"""Something happens between two steps of a publisher: just before one of its SQL statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def at_statement(number: int, happens: Callable[[], None], *, between: bool = False) -> Iterator[None]:
    """`number` counts from 0. With `between` it waits until no transaction is open that would keep others out."""
    left = number
    depth = len(connection.savepoint_ids)

    def watch(execute: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal left
        open_within = len(connection.savepoint_ids) > depth
        if left == 0 and not (between and open_within):
            left = -1
            happens()
        elif left > 0:
            left -= 1
        return execute(*arguments)

    with connection.execute_wrapper(watch):
        yield
