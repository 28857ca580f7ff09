"""XLSX. A cell's number is a double, which holds about 15 digits: so each amount stands twice, as a number to reckon
with and, in the column after it, as exact text. Sums that must hold to the last place are those of the exact column.

Text is written as text, so that no cell is a formula. A sheet takes 1,048,576 rows; more go on in further sheets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import xlsxwriter

from spend.exports.columns import Column, Row, Type

ROWS_MOST = 1_048_575  # beside the line of headings
ABOUT, DATA = "About", "Data"
EXACT = " (exact)"
_TEXT_LONGEST = 32_767
_WHOLE_MOST = 2**53
_WIDTHS = {Type.TEXT: 24, Type.WHOLE: 14, Type.EXACT: 18, Type.DAY: 12, Type.MOMENT: 24, Type.YES_NO: 8}


class Workbook:
    """An XLSX file, whose rows go to the disk as they come."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        folder = path.parent
        self._book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": str(folder)})
        self._columns = columns
        self._head = self._book.add_format({"bold": True})
        self._formats = {
            Type.EXACT: self._book.add_format({"num_format": "#,##0.00##########"}),
            Type.WHOLE: self._book.add_format({"num_format": "#,##0"}),
            Type.DAY: self._book.add_format({"num_format": "yyyy-mm-dd"}),
            Type.MOMENT: self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
        }
        self._about = self._book.add_worksheet(ABOUT)
        self._sheets = 0
        self._begin_sheet()

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if self._line > ROWS_MOST:
                self._begin_sheet()
            place = 0
            for column, value in zip(self._columns, row, strict=True):
                if value is not None:
                    self._cell(place, column.type, value)
                place += 2 if column.type is Type.EXACT else 1
            self._line += 1

    def close(self, about: Mapping[str, Any]) -> None:
        self._about.set_column(0, 0, 24)
        self._about.set_column(1, 1, 90)
        line = 0
        for name, value in about.items():
            for text in [*map(_said, value)] if isinstance(value, list) else [_said(value)]:
                self._about.write_string(line, 0, name, self._head)
                self._about.write_string(line, 1, text[:_TEXT_LONGEST])
                line += 1
        self._book.close()

    def abandon(self) -> None:
        self._book.close()

    def _begin_sheet(self) -> None:
        self._sheets += 1
        self._sheet = self._book.add_worksheet(DATA if self._sheets == 1 else f"{DATA} {self._sheets}")
        self._line, place = 1, 0
        self._sheet.freeze_panes(1, 0)
        for column in self._columns:
            name = f"{column.name} (UTC)" if column.type is Type.MOMENT else column.name
            names = [name, f"{name}{EXACT}"] if column.type is Type.EXACT else [name]
            for each in names:
                self._sheet.set_column(place, place, _WIDTHS[column.type])
                self._sheet.write_string(0, place, each, self._head)
                place += 1

    def _cell(self, place: int, kind: Type, value: Any) -> None:
        sheet, line, form = self._sheet, self._line, self._formats.get(kind)
        if kind is Type.EXACT:
            sheet.write_number(line, place, value, form)
            sheet.write_string(line, place + 1, f"{value:.12f}")
        elif kind is Type.WHOLE and abs(value) < _WHOLE_MOST:
            sheet.write_number(line, place, value, form)
        elif kind is Type.DAY:
            sheet.write_datetime(line, place, value, form)
        elif kind is Type.MOMENT:
            sheet.write_datetime(line, place, value.astimezone(UTC).replace(tzinfo=None), form)
        elif kind is Type.YES_NO:
            sheet.write_boolean(line, place, value)
        else:
            sheet.write_string(line, place, str(value)[:_TEXT_LONGEST])


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    return str(value)
