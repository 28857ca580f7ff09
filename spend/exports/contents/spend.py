"""Spend summed up by buckets of time and dimensions: the very cells of the pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from spend.exports.columns import Column, Row, Type
from spend.exports.contents.naming import Naming
from spend.exports.contents.totals import amiss
from spend.exports.wanted import Wanted
from spend.periods import each_day
from spend.queries.dimensions import label_of
from spend.queries.slices import Cell, Each, cells
from tenants.models import Tenant

PURPOSE = "export: spend"
_NAMED = ("project", "key")  # ids that people know by names
_BUCKETS = {
    Each.WHOLE: (Column("first_day", Type.DAY), Column("last_day", Type.DAY)),
    Each.DAY: (Column("day", Type.DAY, "In the export's time zone."),),
    Each.HOUR: (Column("hour", Type.MOMENT, "When the hour begins."),),
}
_MEASURES = (
    Column("requests", Type.WHOLE, "Calls, whatever became of them."),
    Column("input_tokens", Type.WHOLE),
    Column("output_tokens", Type.WHOLE),
    Column("cached_tokens", Type.WHOLE, "Of the input tokens, those read from a provider's cache."),
    Column("unpriced_requests", Type.WHOLE, "Calls without a price: they count as nothing in the charge."),
    Column("unpriced_tokens", Type.WHOLE),
    Column("cost_usd", Type.EXACT, "By the provider's list prices.", summed=True),
    Column("charge_usd", Type.EXACT, "What is charged, with overrides.", summed=True),
    Column("duration_ms", Type.WHOLE, "Of all calls together."),
    Column("errors", Type.WHOLE),
)


class SpendRows:
    """One row a bucket of time and group that was used."""

    def __init__(self, tenant: Tenant, wanted: Wanted) -> None:
        self._tenant, self._wanted = tenant, wanted
        self._naming = Naming(tenant.id)
        groups = [column for name in wanted.by for column in _columns_of(name)]
        self.columns: Sequence[Column] = (*_BUCKETS[wanted.each], *groups, *_MEASURES)

    def total(self) -> int | None:
        return None

    def blocks(self) -> Iterator[tuple[date, Sequence[Row]]]:
        of = self._wanted.slice
        if self._wanted.each is Each.WHOLE:
            yield of.last, self._rows(of.first, of.last)
            return
        for day in each_day(of.first, of.last):
            yield day, self._rows(day, day)

    def amiss(self, rows: int, sums: dict[str, Any]) -> str:
        return amiss(self._tenant.id, self._wanted.slice, cost=sums["cost_usd"], charge=sums["charge_usd"])

    def _rows(self, first: date, last: date) -> list[Row]:
        wanted = self._wanted
        found = cells(self._tenant.id, wanted.slice.on(first, last), by=wanted.by, each=wanted.each, purpose=PURPOSE)
        for place, name in enumerate(wanted.by):
            if name in _NAMED:
                self._naming.learn(name, (cell.groups[place] for cell in found))
        return [self._row(cell) for cell in found]

    def _row(self, cell: Cell) -> Row:
        of = self._wanted.slice
        row: list[Any] = [of.first, of.last] if self._wanted.each is Each.WHOLE else [cell.begin]
        for name, value in zip(self._wanted.by, cell.groups, strict=True):
            row += [value, self._naming.name(name, value)] if name in _NAMED else [value]
        return [
            *row,
            cell.requests,
            cell.input_tokens,
            cell.output_tokens,
            cell.cached_tokens,
            cell.unpriced_requests,
            cell.unpriced_tokens,
            cell.cost,
            cell.charge,
            cell.duration_ms,
            cell.errors,
        ]


def _columns_of(name: str) -> list[Column]:
    if name in _NAMED:
        return [Column(f"{name}_id", note=f"{label_of(name)}, its id."), Column(f"{name}_name")]
    return [Column(name, note=label_of(name))]
