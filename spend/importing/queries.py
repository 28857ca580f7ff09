"""Reads of imports, within the tenant's scope."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from django.db.models import QuerySet

from spend.models import UsageImport


class Sum(NamedTuple):
    """What comes in of a UTC day and model. Money in USD; `model` is "" for all that are too many to list."""

    day: str
    model: str
    calls: int
    tokens: int
    cost: Decimal
    charge: Decimal
    unpriced: int


def imports() -> QuerySet[UsageImport]:
    """The tenant's imports, the newest first, without what only one of them is shown with."""
    rows: QuerySet[UsageImport] = UsageImport.objects.order_by("-created_at", "-pk")
    return rows.defer("errors", "sums", "mapping", "shapes").select_related("project")


def import_by_id(import_id: str) -> UsageImport | None:
    """One of the tenant's imports; None when it has none with this id."""
    found: UsageImport | None = UsageImport.objects.select_related("project").filter(pk=import_id).first()
    return found


def shown_sums(job: UsageImport) -> list[Sum]:
    """What an import brings, by UTC day and model."""
    return [
        Sum(day, model, int(calls), int(tokens), _usd(cost), _usd(charge), int(unpriced))
        for day, model, calls, tokens, cost, charge, unpriced in job.sums
    ]


def _usd(pico: str) -> Decimal:
    return Decimal(int(pico)).scaleb(-12)
