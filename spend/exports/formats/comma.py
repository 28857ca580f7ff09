"""CSV: UTF-8, a line of headings, money as exact text. What it says of itself stands in a manifest beside it.

A cell of text that a spreadsheet would take for a formula gets an apostrophe in front, and so does one that begins with
an apostrophe: to read the text back, take one leading apostrophe away. Numbers are written as they are.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spend.exports.columns import Column, Row, Type

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_GUARD = "'"


def guarded(text: str) -> str:
    """A text that no spreadsheet runs. `unguarded` gives it back."""
    return f"{_GUARD}{text}" if text.startswith(_GUARD) or text.lstrip(" ").startswith(_FORMULA) else text


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    return text.removeprefix(_GUARD)


def moment_text(at: datetime) -> str:
    """A moment as 2026-11-01T12:00:00Z, with milliseconds where it has any."""
    known = at.astimezone(UTC)
    precision = "milliseconds" if known.microsecond else "seconds"
    return known.isoformat(timespec=precision).replace("+00:00", "Z")


class CsvFile:
    """A CSV file."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._line = csv.writer(self._file)
        self._line.writerow([column.name for column in columns])
        self._texts = [_TEXTS[column.type] for column in columns]

    def write(self, rows: Sequence[Row]) -> None:
        texts = self._texts
        self._line.writerows(
            ["" if value is None else text(value) for text, value in zip(texts, row, strict=True)] for row in rows
        )

    def close(self, about: Mapping[str, Any]) -> None:
        self._file.close()

    def abandon(self) -> None:
        self._file.close()


_TEXTS: dict[Type, Callable[[Any], str]] = {
    Type.TEXT: guarded,
    Type.WHOLE: str,
    Type.EXACT: "{:.12f}".format,
    Type.DAY: lambda day: day.isoformat(),
    Type.MOMENT: moment_text,
    Type.YES_NO: lambda value: "true" if value else "false",
}
