"""What adapters share: their form, and the walk through a report's pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from spend.importing.rows import Bad, Place, Record, Row, RowError, identity_of

Found = tuple[Place, Row | Bad]
Made = TypeVar("Made")


class Adapter(NamedTuple):
    """A kind of file. `source` is what its rows carry: files with the same source hold the same usage."""

    name: str
    label: str
    source: str
    form: str  # "csv", "json", or "" for both
    page: str  # where the provider describes it
    rows: Callable[[Record], Iterator[Found]]
    columns: frozenset[str] = frozenset()  # of which a CSV file must have all


def one_row(record: Record, make: Callable[[Mapping[str, Any]], Made | None]) -> Iterator[tuple[Place, Made | Bad]]:
    """A record that is one row, or none."""
    try:
        row = make(record.value)
    except RowError as error:
        yield Place(record.line), Bad(str(error))
    else:
        if row is not None:
            yield Place(record.line), row


def bucket_rows(
    record: Record, make: Callable[[Mapping[str, Any], Mapping[str, Any]], Made | None]
) -> Iterator[tuple[Place, Made | Bad]]:
    """The rows of a report's page (`data` → buckets → `results`), or of a single bucket. `make` gets bucket, result."""
    value = record.value
    buckets = value.get("data", [value] if "results" in value else None)
    if not isinstance(buckets, list):
        yield Place(record.line), Bad("It is not a page of the report: it has no list called data, and no results.")
        return
    for number, bucket in enumerate(buckets):
        path = f"data[{number}]" if "data" in value else ""
        results = bucket.get("results", bucket.get("result")) if isinstance(bucket, dict) else None
        if not isinstance(results, list):
            yield Place(record.line, path), Bad("It is not a bucket: it has no list called results.")
            continue
        for index, result in enumerate(results):
            place = Place(record.line, f"{path}.results[{index}]".lstrip("."))
            try:
                if not isinstance(result, dict):
                    raise RowError("It is not a JSON object.")
                row = make(bucket, result)
            except RowError as error:
                yield place, Bad(str(error))
            else:
                if row is not None:
                    yield place, row


def grouped(kind: str, seconds: int, groups: Mapping[str, str]) -> str:
    """The shape of a bucket: its kind, width, and by what the report was grouped."""
    return f"{kind} {seconds} {','.join(sorted(name for name, value in groups.items() if value))}"


def bucket_identity(kind: str, ts: int, seconds: int, groups: Mapping[str, str]) -> str:
    """What makes a bucket the same one in every export of the report."""
    return identity_of(kind, ts, seconds, *(f"{name}={value}" for name, value in sorted(groups.items())))


def named(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The provider's names that are there, in their order."""
    return tuple(value for _, value in pairs if value)
