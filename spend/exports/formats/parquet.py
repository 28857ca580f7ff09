"""Parquet: money as Decimal128(38, 12), moments in UTC, what the file says of itself as its key-value metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from spend.exports.columns import Column, Row, Type

_TYPES = {
    Type.TEXT: pyarrow.string(),
    Type.WHOLE: pyarrow.int64(),
    Type.EXACT: pyarrow.decimal128(38, 12),
    Type.DAY: pyarrow.date32(),
    Type.MOMENT: pyarrow.timestamp("ms", tz="UTC"),
    Type.YES_NO: pyarrow.bool_(),
}
_GROUP_ROWS = 50_000  # rows that are kept until they make a row group
METADATA = "spendops"  # the key of what the file says of itself, as JSON


class ParquetFile:
    """A Parquet file."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._schema = pyarrow.schema([pyarrow.field(column.name, _TYPES[column.type]) for column in columns])
        self._file = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._held: list[Any] = []
        self._rows = 0

    def write(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        arrays = [
            pyarrow.array(list(values), type=field.type)
            for field, values in zip(self._schema, zip(*rows, strict=True), strict=True)
        ]
        self._held.append(pyarrow.record_batch(arrays, schema=self._schema))
        self._rows += len(rows)
        if self._rows >= _GROUP_ROWS:
            self._flush()

    def close(self, about: Mapping[str, Any]) -> None:
        self._flush()
        self._file.add_key_value_metadata({METADATA: json.dumps(about, ensure_ascii=False)})
        self._file.close()

    def abandon(self) -> None:
        self._file.close()

    def _flush(self) -> None:
        if self._held:
            self._file.write_table(pyarrow.Table.from_batches(self._held, self._schema))
        self._held, self._rows = [], 0
