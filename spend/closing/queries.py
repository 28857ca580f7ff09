"""Reads of months and their statements, for pages and the API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from django.template.loader import render_to_string

from spend.closing.drafts import draft
from spend.closing.months import Month, months_of, parse_month
from spend.closing.pdf import rendered
from spend.closing.shown import shown
from spend.closing.statement import checksum, read, written
from spend.models import Statement
from spend.queries.slices import Cell, Each, Slice, cells
from tenants.models import Tenant

TYPES = {"json": "application/json", "html": "text/html; charset=utf-8", "pdf": "application/pdf"}


class Running(NamedTuple):
    """What a month that is not sealed comes to so far."""

    charge: Decimal
    requests: int
    unpriced: int


def running_totals(tenant: Tenant, months: Iterable[Month]) -> dict[date, Running]:
    """What the months come to that have no statement yet, from one question. Raises UnavailableError."""
    unsealed = [each for each in months if statement_of(each) is None]
    if not unsealed:
        return {}
    sums: dict[date, list[Cell]] = defaultdict(list)
    of = Slice(min(each.first for each in unsealed), max(each.last for each in unsealed))
    for cell in cells(tenant.id, of, each=Each.DAY, purpose="statements"):
        sums[cell.begin.replace(day=1)].append(cell)
    return {
        first: Running(
            sum((cell.charge for cell in days), Decimal()),
            sum(cell.requests for cell in days),
            sum(cell.unpriced_requests for cell in days),
        )
        for first, days in sums.items()
    }


def statement_of(month: Month) -> Statement | None:
    """The stored statement of a month; None while it has none."""
    return getattr(month.seal, "statement", None) if month.seal else None


def file_of(tenant: Tenant, month: Month, kind: str) -> bytes:
    """A month's statement in a form. Raises UnavailableError."""
    stored = statement_of(month)
    body = bytes(stored.body) if stored else written(draft(tenant, month.first))
    if kind == "json":
        return body
    document, digest = read(body), checksum(body)
    if kind == "html":
        said = shown(document) | {"sha256": digest if stored else ""}
        return render_to_string("spend/statement_file.html", said).encode()
    return bytes(stored.pdf) if stored else rendered(document, digest)


def month_of(tenant: Tenant, text: str, *, today: date) -> Month | None:
    """A month of a tenant, as an address names it; None when it has none of that name. Raises UnavailableError."""
    first = parse_month(text)
    return next((each for each in months_of(tenant, today=today) if each.first == first), None)
