"""How exports are written: one file a format. Their libraries are loaded by whoever writes files, by nobody else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from spend.exports.columns import Column, Row
from spend.exports.wanted import Format
from spend.models import Export


class Writer(Protocol):
    """A file that is being written. Nothing of it is kept in memory but a block of rows."""

    def write(self, rows: Sequence[Row]) -> None: ...

    def close(self, about: Mapping[str, Any]) -> None:
        """Finish the file, with what it says of itself where the format has a place for that."""
        ...

    def abandon(self) -> None:
        """Let go of the file, unfinished as it is."""
        ...


class Kept(NamedTuple):
    """How files of a format are named and served."""

    suffix: str
    content_type: str


KEPT = {
    Format.CSV: Kept(".csv", "text/csv; charset=utf-8"),
    Format.XLSX: Kept(".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    Format.PARQUET: Kept(".parquet", "application/vnd.apache.parquet"),
}


def writer_of(written: Export.Format) -> Callable[[Path, Sequence[Column]], Writer]:
    """What writes files of a format."""
    if written is Format.CSV:
        from spend.exports.formats.comma import CsvFile

        return CsvFile
    if written is Format.XLSX:
        from spend.exports.formats.workbook import Workbook

        return Workbook
    from spend.exports.formats.parquet import ParquetFile

    return ParquetFile
