"""What each project's models of many tenants were charged by day: where anomalies are looked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spend.clickhouse.client import ask
from spend.queries.rollup import counted_days


class SeriesName(NamedTuple):
    """A tenant's project and model."""

    tenant: str
    project: str
    model: str


def days_of_series(
    tenants: Sequence[str], first: date, last: date, *, used_from: date
) -> Mapping[SeriesName, Mapping[date, Decimal]]:
    """The charge (USD) by the tenants' own days, both ends included, of series that were used since `used_from`."""
    found: dict[SeriesName, dict[date, Decimal]] = defaultdict(dict)
    if not tenants:
        return found
    sql = (
        "SELECT tenant_id, project_id, model, groupArray(day), groupArray(charged) FROM ("  # noqa: S608 - our own SQL
        "SELECT tenant_id, project_id, model, day, sum(charge) AS charged"
        f" FROM {counted_days('tenant_id IN %(tenants)s AND day BETWEEN %(first)s AND %(last)s')}"
        " GROUP BY tenant_id, project_id, model, day HAVING charged != 0"
        ") GROUP BY tenant_id, project_id, model HAVING max(day) >= %(used_from)s"
    )
    parameters = {"tenants": tuple(tenants), "first": first, "last": last, "used_from": used_from}
    for tenant, project, model, days, charges in ask(sql, parameters, across_tenants=True, purpose="anomalies"):
        found[SeriesName(tenant, project, model)] = dict(zip(days, charges, strict=True))
    return found
