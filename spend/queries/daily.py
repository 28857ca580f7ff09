"""What a tenant spent by day and group."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spend.queries.slices import Each, Slice, cells


class DailyRow(NamedTuple):
    """A group's day. Money in USD, exact; `requests` includes those that failed or have no price."""

    day: date
    group: str
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost: Decimal
    charge: Decimal
    unpriced: int
    errors: int


def daily_spend(
    tenant_id: str,
    first: date,
    last: date,
    *,
    group_by: str,
    envs: Sequence[str] = (),
    keys: Collection[str] | None = None,
) -> list[DailyRow]:
    """Spend from the first to the last of the tenant's own days, both included, in the environments named (else all).

    `keys` are the API keys whose spend may be seen; None means every key's. Raises what `slices.cells` raises.
    """
    of = Slice(first, last, only={"env": envs} if envs else {}, keys=keys)
    found = cells(tenant_id, of, by=[group_by], each=Each.DAY, purpose="daily spend")
    return [
        DailyRow(
            cell.begin,
            cell.groups[0],
            cell.requests,
            cell.input_tokens,
            cell.output_tokens,
            cell.cached_tokens,
            cell.cost,
            cell.charge,
            cell.unpriced_requests,
            cell.errors,
        )
        for cell in found
    ]
