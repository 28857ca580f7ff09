"""Exports read back: the rows of a finished file, whatever its format, as texts by column."""

from __future__ import annotations

import csv
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow.parquet

from changes.actor import Actor
from spend.exports.actions import begin_export
from spend.exports.files import file_of
from spend.exports.run import work_off
from spend.exports.wanted import Kind, Wanted
from spend.models import Export
from spend.queries.slices import Slice
from tenants.models import Tenant
from tenants.scope import tenant_scope

BY = Actor("user", "u_somebody0001", role="tenant_admin")
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def wanted(kind: str, first: date, last: date, *, zone: str = "", **more: Any) -> Wanted:
    narrowed = {name: more.pop(name) for name in ("only", "without") if name in more}
    return Wanted(Kind(kind), Slice(first, last, zone=zone, **narrowed), **more)


def begun(of: Wanted, written: str = "csv", *, tenant: str = "t_acme00001", **more: Any) -> Export:
    """An export that waits."""
    with tenant_scope(tenant):
        return begin_export(tenant=Tenant.objects.get(pk=tenant), wanted=of, written=written, by=BY, **more)


def made(of: Wanted, written: str = "csv", **more: Any) -> Export:
    """An export whose job has run, whatever came of it."""
    job = begun(of, written, **more)
    assert work_off(job.pk)
    return again(job)


def again(job: Export) -> Export:
    """The job as it is now."""
    with tenant_scope(job.tenant_id):
        return Export.objects.get(pk=job.pk)


def path_of(job: Export) -> Path:
    assert job.status == Export.Status.DONE, job.error
    path = file_of(job)
    assert path is not None
    return path


def rows_of(job: Export) -> list[dict[str, Any]]:
    """The rows: of CSV as texts, of XLSX as texts (an amount as its exact text), of Parquet as Python's values."""
    path = path_of(job)
    if job.format == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    if job.format == "parquet":
        return pyarrow.parquet.read_table(path).to_pylist()
    return sheet_of(path, 2)


def sheet_of(path: Path, number: int) -> list[dict[str, Any]]:
    """A sheet of a workbook, read without a library: what stands in its cells."""
    with zipfile.ZipFile(path) as book:
        rows = list(ElementTree.fromstring(book.read(f"xl/worksheets/sheet{number}.xml")).iter(f"{_SHEET}row"))
    cells = [{_column(cell.get("r")): _text(cell) for cell in row} for row in rows]
    heads = cells[0]
    return [{heads[place]: text for place, text in row.items()} for row in cells[1:]]


def _column(place: str) -> str:
    return place.rstrip("0123456789")


def _text(cell: ElementTree.Element) -> str:
    assert cell.find(f"{_SHEET}f") is None, "a cell is a formula"
    return "".join(each.text or "" for each in cell.iter() if each.tag in (f"{_SHEET}v", f"{_SHEET}t"))


def summed(job: Export, column: str) -> Decimal:
    """The sum of a column, exact."""
    named = f"{column} (exact)" if job.format == "xlsx" else column
    return sum((Decimal(row[named]) for row in rows_of(job) if row.get(named) not in ("", None)), Decimal(0))
