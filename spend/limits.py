"""What a tenant may spend in a month, said by whoever knows it.

Budgets are a higher package: it registers here how it answers, so that the spend page can draw a pace towards the limit
and never imports upwards.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import NamedTuple


class Limit(NamedTuple):
    """A limit on everything that a tenant spends from one day to another, USD."""

    name: str
    amount: Decimal
    url: str
    at_limit: str  # what happens there, such as "then calls are refused"


Source = Callable[[str, date, date], Limit | None]

_sources: list[Source] = []


def register(source: Source) -> None:
    """From now on ask this, too. `source(tenant_id, first, last)` answers for exactly these days of the tenant."""
    if source not in _sources:
        _sources.append(source)


def limit_on(tenant_id: str, first: date, last: date) -> Limit | None:
    """The lowest limit on all of a tenant's spend of these days; None when there is none."""
    found = [limit for source in _sources if (limit := source(tenant_id, first, last)) is not None]
    return min(found, key=lambda limit: limit.amount, default=None)
