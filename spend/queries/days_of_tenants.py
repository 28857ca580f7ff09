"""What many tenants were charged by day: the history that forecasts are made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from spend.clickhouse.client import ask
from spend.queries.rollup import counted_days


def days_of_tenants(tenants: Sequence[str], first: date, last: date) -> Mapping[str, Mapping[date, Decimal]]:
    """The charge (USD) of each of the tenants' own days, both ends included, on which anything was used."""
    found: dict[str, dict[date, Decimal]] = defaultdict(dict)
    if not tenants:
        return found
    sql = (
        "SELECT tenant_id, day, sum(charge)"  # noqa: S608 - our own SQL
        f" FROM {counted_days('tenant_id IN %(tenants)s AND day BETWEEN %(first)s AND %(last)s')}"
        " GROUP BY tenant_id, day HAVING sum(requests) > 0 OR sum(charge) != 0"
    )
    parameters = {"tenants": tuple(tenants), "first": first, "last": last}
    for tenant, day, charge in ask(sql, parameters, across_tenants=True, purpose="days of tenants"):
        found[tenant][day] = charge
    return found
