"""Reads of cost centres: what holds, and what it comes to."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from spend.cost_centres.dimension import NAME, as_if
from spend.cost_centres.rules import UNALLOCATED, Book, Paid, settled
from spend.models import CostCentreBook
from spend.queries.slices import Slice, cells
from tenants.scope import tenant_scope
from wire.money import pico_from_usd_string

DAYS = 30


class Held(NamedTuple):
    """The cost centres that hold; version 0: nobody set any."""

    version: int
    book: Book


class Outcome(NamedTuple):
    """Who pays for a run of days. Amounts in pico-USD; a centre's `requests` are its own."""

    first: date
    last: date
    paid: list[Paid]
    requests: dict[str, int]

    @property
    def whole(self) -> int:
        return sum(each.total for each in self.paid)

    @property
    def unallocated(self) -> int:
        return sum(each.total for each in self.paid if each.centre == UNALLOCATED)


def held_by(tenant_id: str) -> Held:
    """What holds for a tenant."""
    with tenant_scope(tenant_id):
        row = CostCentreBook.objects.filter(pk=tenant_id).first()
    return Held(row.version, Book.of(row.book)) if row is not None else Held(0, Book())


def outcome(tenant_id: str, book: Book, *, today: date) -> Outcome:
    """Who would pay by these rules for the last days, today included. Raises UnavailableError."""
    first = today - timedelta(days=DAYS - 1)
    with as_if(tenant_id, book):
        found = cells(tenant_id, Slice(first, today), by=[NAME], purpose="cost centres")
    own = {cell.groups[0]: pico_from_usd_string(f"{cell.charge:.12f}") for cell in found}
    return Outcome(first, today, settled(own, book), {cell.groups[0]: cell.requests for cell in found})
