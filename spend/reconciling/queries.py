"""Reads of compared invoices, within the tenant's scope."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import NamedTuple

from django.db.models import QuerySet

from spend.models import InvoiceComparison
from spend.reconciling.classify import Why


class Compared(NamedTuple):
    """A UTC day and model. Money in USD; unit prices in USD a million tokens, None where tokens are not known."""

    day: date
    model: str
    theirs: Decimal
    ours: Decimal
    difference: Decimal
    their_tokens: int | None
    our_tokens: int
    our_requests: int
    price_version: int
    parts: dict[Why, Decimal]

    @property
    def their_price(self) -> Decimal | None:
        charged = self.theirs - self.parts.get(Why.CREDIT, Decimal(0))
        return charged * 1_000_000 / self.their_tokens if self.their_tokens else None

    @property
    def our_price(self) -> Decimal | None:
        return self.ours * 1_000_000 / self.our_tokens if self.our_tokens else None


def comparisons() -> QuerySet[InvoiceComparison]:
    """The tenant's compared invoices, the newest first, without their rows."""
    rows: QuerySet[InvoiceComparison] = InvoiceComparison.objects.order_by("-created_at", "-pk")
    return rows.defer("rows", "errors")


def comparison_by_id(comparison_id: str) -> InvoiceComparison | None:
    """One of them; None when the tenant has none with this id."""
    found: InvoiceComparison | None = InvoiceComparison.objects.filter(pk=comparison_id).first()
    return found


def compared_rows(of: InvoiceComparison) -> list[Compared]:
    """Its days and models, in their order."""
    return [
        Compared(
            date.fromisoformat(row["day"]),
            row["model"],
            usd_of(row["theirs"]),
            usd_of(row["ours"]),
            usd_of(row["difference"]),
            row["their_tokens"],
            row["our_tokens"],
            row["our_requests"],
            row["price_version"],
            {Why(why): usd_of(amount) for why, amount in row["parts"].items()},
        )
        for row in of.rows
    ]


def usd_of(pico: str) -> Decimal:
    """A stored amount in USD, exactly."""
    return Decimal(int(pico)).scaleb(-12)
