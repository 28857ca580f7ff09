"""Which versions of the price book a provider's usage was priced by."""

from __future__ import annotations

from datetime import date

from spend.clickhouse.client import ask
from spend.queries.filters import Conditions
from spend.zones import calendar


def price_versions(tenant_id: str, first: date, last: date, *, provider: str) -> dict[tuple[date, str], int]:
    """The newest version by UTC day and model (the model priced, or the one asked when there was no price)."""
    where = Conditions().arrived(*calendar("UTC").bounds(first, last)).equal(provider=provider)
    sql = (
        "SELECT toDate(ts, 'UTC') AS day, if(model_priced = '', model_asked, model_priced) AS model,"  # noqa: S608
        f" max(price_version) FROM usage_events FINAL WHERE {where} GROUP BY day, model"
    )
    rows = ask(sql, where.parameters, tenant_id=tenant_id, purpose="versions of prices")
    return {(day, model): version for day, model, version in rows}
