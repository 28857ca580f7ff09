"""What a tenant's days come to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spend.clickhouse.client import ask
from spend.queries.filters import Conditions
from spend.queries.rollup import ERRORS, counted_days


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
    where = Conditions().days(first, last).envs(envs)
    sql = (
        "SELECT sum(requests), sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(cost), sum(charge),"  # noqa: S608
        f" sum(unpriced_requests), sum(unpriced_tokens), {ERRORS} FROM {counted_days(str(where))}"
    )
    return Totals(*ask(sql, where.parameters, tenant_id=tenant_id, purpose="totals")[0])
