"""Filters as they stand in an address: `model=gpt-5&model=gpt-4o&not-env=dev&tag:team=search&none=end_user`. Pure.

A dimension's name is a parameter; several values of one are any of them; `not-` leaves values out; `none` and
`not-none` name dimensions that calls have no value of, or have one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol
from urllib.parse import quote

from spend.queries.dimensions import LABELS, TAG, dimension

NOT = "not-"
NONE = "none"
VALUES_MOST = 100
VALUE_LONGEST = 400  # as long as the name of a model

Pairs = list[tuple[str, str]]
Narrowed = Mapping[str, Sequence[str]]


class Query(Protocol):
    """An address's parameters (Django's QueryDict)."""

    def __iter__(self) -> Iterator[str]: ...
    def getlist(self, key: str) -> list[str]: ...


class FilterError(ValueError):
    """A filter that cannot be taken; `name` is its parameter, the message says what to do."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def is_filter(name: str) -> bool:
    """Whether a parameter is a filter."""
    plain = name.removeprefix(NOT)
    return plain in LABELS or plain == NONE or plain.startswith(TAG)


def filters_of(query: Query) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """The values to narrow to and those to leave out, by dimension. Raises FilterError."""
    only: dict[str, tuple[str, ...]] = {}
    without: dict[str, tuple[str, ...]] = {}
    for name in sorted(query):
        if not is_filter(name):
            continue
        into = without if name.startswith(NOT) else only
        plain = name.removeprefix(NOT)
        if plain == NONE:
            for each in query.getlist(name):
                _add(into, name, each, [""])
        else:
            _add(into, name, plain, [value for value in query.getlist(name) if value])
    return only, without


def pairs_of(only: Narrowed, without: Narrowed) -> Pairs:
    """The same as parameters, in an order of its own."""
    pairs: Pairs = []
    for sign, chosen in (("", only), (NOT, without)):
        for name, values in sorted(chosen.items()):
            pairs += [(f"{sign}{NONE}", name) if value == "" else (f"{sign}{name}", value) for value in values]
    return pairs


def query_string(pairs: Iterable[tuple[str, str]]) -> str:
    """Parameters as an address's query, in which tags stay legible."""
    return "&".join(f"{quote(name, safe=':')}={quote(value, safe=':/@,')}" for name, value in pairs)


def _add(into: dict[str, tuple[str, ...]], parameter: str, name: str, values: Sequence[str]) -> None:
    try:
        dimension(name)
    except ValueError as error:
        raise FilterError(parameter, str(error)) from error
    for value in values:
        if len(value) > VALUE_LONGEST or "\x00" in value:
            raise FilterError(parameter, f"A value has at most {VALUE_LONGEST} characters, and no zero byte.")
    every = tuple(dict.fromkeys([*into.get(name, ()), *values]))
    if len(every) > VALUES_MOST:
        raise FilterError(parameter, f"At most {VALUES_MOST} values of one kind can be chosen.")
    if every:
        into[name] = every
