"""Where a block of FORMAT Native ends. Its bytes go to the engine untouched, so values are passed over, not decoded."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from spend.clickhouse.embedded.protocol import Incoming

_WIDTHS = {f"{sign}Int{bits}": bits // 8 for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)}
_WIDTHS |= {"Bool": 1, "Enum8": 1, "Enum16": 2, "Float32": 4, "Float64": 8, "UUID": 16, "IPv4": 4, "IPv6": 16}
_WIDTHS |= {"Date": 2, "Date32": 4, "DateTime": 4, "DateTime64": 8}
_TYPE = re.compile(r"(\w+)(?:\((.*)\))?", re.DOTALL)
_KEY_WIDTH = 0xFF  # of a LowCardinality's serialization type: log2 of the bytes of an index


class UnknownTypeError(Exception):
    """A column type whose values cannot be passed over. The rest of the block cannot be found."""


class Column:
    """How a type's values are passed over. `prefix` comes once a column, before all values, also of nested types."""

    def prefix(self, incoming: Incoming) -> None:
        """Pass over the state before the values: only LowCardinality has one."""

    def values(self, incoming: Incoming, rows: int) -> None:
        """Pass over so many values."""
        raise NotImplementedError


class Fixed(Column):
    """Values of equal width."""

    def __init__(self, width: int) -> None:
        self._width = width

    def values(self, incoming: Incoming, rows: int) -> None:
        incoming.skip(rows * self._width)


class Text(Column):
    """String."""

    def values(self, incoming: Incoming, rows: int) -> None:
        incoming.skip_texts(rows)


class Nullable(Column):
    """A map of nulls, a byte each, then all values."""

    def __init__(self, inner: Column) -> None:
        self.inner = inner

    def prefix(self, incoming: Incoming) -> None:
        self.inner.prefix(incoming)

    def values(self, incoming: Incoming, rows: int) -> None:
        incoming.skip(rows)
        self.inner.values(incoming, rows)


class LowCardinality(Column):
    """A dictionary of distinct values, then an index into it for each row."""

    def __init__(self, inner: Column) -> None:
        # the dictionary's first value stands for null, so it has no map of nulls
        self._inner = inner.inner if isinstance(inner, Nullable) else inner

    def prefix(self, incoming: Incoming) -> None:
        incoming.skip(8)

    def values(self, incoming: Incoming, rows: int) -> None:
        if not rows:
            return
        width = 1 << (incoming.uint64() & _KEY_WIDTH)
        self._inner.values(incoming, incoming.uint64())
        incoming.skip(incoming.uint64() * width)


class Array(Column):
    """Where each row's elements end, then all elements. A Map is an array of its keys and values."""

    def __init__(self, *inner: Column) -> None:
        self._inner = inner

    def prefix(self, incoming: Incoming) -> None:
        for each in self._inner:
            each.prefix(incoming)

    def values(self, incoming: Incoming, rows: int) -> None:
        if not rows:
            return
        incoming.skip((rows - 1) * 8)
        elements = incoming.uint64()
        for each in self._inner:
            each.values(incoming, elements)


class Tuple(Column):
    """Each element a column of its own."""

    def __init__(self, *inner: Column) -> None:
        self._inner = inner

    def prefix(self, incoming: Incoming) -> None:
        for each in self._inner:
            each.prefix(incoming)

    def values(self, incoming: Incoming, rows: int) -> None:
        for each in self._inner:
            each.values(incoming, rows)


_NESTED: dict[str, Callable[..., Column]] = {
    "Nullable": Nullable,
    "LowCardinality": LowCardinality,
    "Array": Array,
    "Map": Array,
    "Tuple": Tuple,
}


@lru_cache(maxsize=1000)
def column_of(kind: str) -> Column:
    """How to pass over a type's values. Raises UnknownTypeError."""
    found = _TYPE.fullmatch(kind.strip())
    if found is None:
        raise UnknownTypeError(kind)
    name, inside = found[1], found[2] or ""
    if name == "String":
        return Text()
    if name == "FixedString":
        return Fixed(int(inside))
    if name == "Decimal":
        digits = int(inside.split(",")[0])
        return Fixed(next(width for most, width in ((9, 4), (18, 8), (38, 16), (76, 32)) if digits <= most))
    if name in _WIDTHS:
        return Fixed(_WIDTHS[name])
    if name in _NESTED:
        return _NESTED[name](*(column_of(_type_of(part)) for part in _split(inside)))
    raise UnknownTypeError(kind)


def pass_over_block(incoming: Incoming) -> tuple[int, list[tuple[str, str]]]:
    """Read to the end of a block's body. Returns its number of rows, and its columns' names and types.

    Raises UnknownTypeError.
    """
    count, rows = incoming.varint(), incoming.varint()
    columns = []
    for _ in range(count):
        name, kind = incoming.text(), incoming.text()
        columns.append((name, kind))
        column = column_of(kind)
        if rows:
            column.prefix(incoming)
            column.values(incoming, rows)
    return rows, columns


def _split(inside: str) -> list[str]:
    """Cut at the commas that stand in no bracket and in no quotes (an Enum's names)."""
    parts, depth, quoted, start, position = [], 0, False, 0, 0
    while position < len(inside):
        character = inside[position]
        if character == "\\":
            position += 1
        elif character == "'":
            quoted = not quoted
        elif not quoted:
            depth += (character == "(") - (character == ")")
            if character == "," and depth == 0:
                parts.append(inside[start:position])
                start = position + 1
        position += 1
    return [*parts, inside[start:]]


def _type_of(element: str) -> str:
    """A tuple's element may be named: `a UInt8`."""
    stripped = element.strip()
    named = re.fullmatch(r"(?:\w+|`[^`]+`)\s+(\w.*)", stripped, re.DOTALL)
    return named[1] if named else stripped
