"""What a tenant's days come to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spend.queries.slices import Slice, cells


class Totals(NamedTuple):
    """Sums over days. Money in USD, exact."""

    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost: Decimal
    charge: Decimal
    unpriced_requests: int
    unpriced_tokens: int
    errors: int


def totals(tenant_id: str, first: date, last: date, *, envs: Sequence[str] = ()) -> Totals:
    """The sums of the tenant's own days, both ends included; all zero when nothing was used."""
    found = cells(tenant_id, Slice(first, last, only={"env": envs} if envs else {}), purpose="totals")
    return Totals(*(getattr(found[0], name) for name in Totals._fields)) if found else _NOTHING


_NOTHING = Totals(0, 0, 0, 0, Decimal(0), Decimal(0), 0, 0, 0)
