"""The statement of a month as it would be now."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from django.utils import timezone

from pricing.rates.base import RatesError
from pricing.rates.queries import rate_on
from spend.closing.statement import Document, Span, figures, frame, names_of
from spend.cost_centres.dimension import book_of
from spend.periods import month_end
from spend.queries.freshness import complete_to
from tenants.models import Tenant
from wire.money import pico_from_usd_string


class Totals(NamedTuple):
    """What somebody who seals a month confirms to have seen."""

    charge: int  # pico-USD
    requests: int
    unpriced_requests: int

    @classmethod
    def of(cls, document: Document) -> Totals:
        """Those of a statement."""
        total = document["totals"]["total"]
        return cls(pico_from_usd_string(total["charge_usd"]), total["requests"], total["unpriced_requests"])

    def __str__(self) -> str:
        return "/".join(map(str, self))


def draft(tenant: Tenant, month: date) -> Document:
    """The statement of a month that is not sealed, as it would be now: its figures still move.

    Without a rate of the tenant's currency it is in USD alone. Raises UnavailableError.
    """
    complete = complete_to()  # before the figures: what is counted in between is then in them and not claimed
    span, book = Span.of(month, tenant.time_zone), book_of(tenant.id)
    try:
        rate = rate_on(tenant.currency, min(month_end(month), timezone.now().date()))
    except RatesError:
        rate = None
    said = frame(
        tenant_id=tenant.id,
        tenant=tenant.name,
        span=span,
        currency=tenant.currency,
        rate=rate,
        complete_until=complete,
        book=book,
    )
    return said | figures(tenant.id, span, book=book, rate=rate, names=names_of(tenant.id)) | {"final": False}
