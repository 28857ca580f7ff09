"""How the cost and the charge of an event came about, recomputed from the price book and the overrides it names."""

from __future__ import annotations

from typing import NamedTuple

from pricing.explain import ExplainedCharge, Explanation, NotExplainedError, explain, explain_charge
from spend.closing.ids import arrived_ms
from spend.queries.requests import RequestRow
from spend.zones import ms_of
from wire.money import decimal_from_pico

NOTHING_USED = "This call used nothing that is counted, so there is nothing to price."
UNREADABLE = (
    "The gateway could not read this tenant's overrides: what is charged is known once the call is priced anew."
)


class Explained(NamedTuple):
    """What can be explained of an event; `why_not` and `why_no_charge` say what cannot be."""

    cost: Explanation | None
    charge: ExplainedCharge | None
    why_not: str = ""
    why_no_charge: str = ""
    cost_agrees: bool = True  # the event's cost is what the price book comes to
    charge_agrees: bool = True


def explained(tenant_id: str, row: RequestRow) -> Explained:
    """The explanation of an event of a tenant."""
    if not row.units:
        return Explained(None, None, NOTHING_USED, NOTHING_USED)
    cost, why_not = _cost(row)
    charge, why_no_charge = _charge(tenant_id, row)
    return Explained(
        cost,
        charge,
        why_not,
        why_no_charge,
        cost_agrees=cost is None or row.cost == _usd(cost.total),
        charge_agrees=charge is None or row.charge == _usd(charge.total),
    )


def _cost(row: RequestRow) -> tuple[Explanation | None, str]:
    try:
        found = explain(
            provider=row.provider,
            model_priced=row.model_priced,
            price_version=row.price_version,
            ts_ms=arrived_ms(str(row.event_id), ms_of(row.ts)),
            units=row.units,
            service_tier=row.service_tier,
        )
    except NotExplainedError as error:
        return None, str(error)
    return found, ""


def _charge(tenant_id: str, row: RequestRow) -> tuple[ExplainedCharge | None, str]:
    try:
        found = explain_charge(
            tenant_id=tenant_id,
            project=row.project,
            provider=row.provider,
            model_asked=row.model_asked,
            model_priced=row.model_priced,
            price_version=row.price_version,
            override_version=row.override_version,
            ts_ms=arrived_ms(str(row.event_id), ms_of(row.ts)),
            units=row.units,
            service_tier=row.service_tier,
        )
    except NotExplainedError as error:
        return None, str(error)
    if row.charge is None and row.cost is not None and found.override is None:
        return None, UNREADABLE  # it names no overrides because none could be read, and not because there were none
    return found, ""


def _usd(pico: int | None) -> object:
    return None if pico is None else decimal_from_pico(pico)
