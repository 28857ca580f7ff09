"""What all tenants used, side by side: one statement for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spend.clickhouse.client import ask
from spend.queries.measures import OF_DAYS
from spend.queries.rollup import counted_days

_MEASURES = ("requests", "input_tokens", "output_tokens", "unpriced_requests", "errors", "cost", "charge")


class TenantSum(NamedTuple):
    """What days of a tenant come to. Money in USD, exact."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unpriced_requests: int = 0
    errors: int = 0
    cost: Decimal = Decimal(0)
    charge: Decimal = Decimal(0)

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def margin(self) -> Decimal:
        """What remains of the charge after what the calls cost."""
        return self.charge - self.cost

    @classmethod
    def of(cls, sums: Iterable[TenantSum]) -> TenantSum:
        """Several put together."""
        return cls(*(sum(values[1:], values[0]) for values in zip(cls(), *sums, strict=True)))


def sums_of_tenants(
    begins: Sequence[date], last: date, *, envs: Sequence[str] = ()
) -> Mapping[str, Mapping[date, TenantSum]]:
    """The sums of every tenant's own days by stretches of days: each from one of `begins` to the day before the next.

    The last stretch ends on `last`. So tenants can be summed up over different days by one statement, as some have a
    today that others have not yet. What used nothing is left out. Raises UnavailableError, TooMuchError.
    """
    ordered = sorted(set(begins))
    days = "day BETWEEN %(first)s AND %(last)s"
    where = f"{days} AND env IN %(envs)s" if envs else days
    sums = ", ".join(f"{OF_DAYS[name]} AS m_{name}" for name in _MEASURES)
    sql = (
        "SELECT tenant_id, arrayCount(begin -> day >= toDate(begin), %(begins)s) AS stretch,"  # noqa: S608 - our own
        f" {sums} FROM {counted_days(where, days)} GROUP BY tenant_id, stretch"
        " HAVING m_requests > 0 OR m_cost != 0 OR m_charge != 0"
    )
    parameters = {
        "first": ordered[0],
        "last": last,
        "begins": [day.isoformat() for day in ordered],
        "envs": tuple(envs),
    }
    found: dict[str, dict[date, TenantSum]] = defaultdict(dict)
    for tenant, stretch, *measured in ask(sql, parameters, across_tenants=True, purpose="all tenants"):
        found[tenant][ordered[stretch - 1]] = TenantSum(*measured)
    return found
