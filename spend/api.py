"""Usage: how one event's cost and charge came about."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, cast
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Field, Path, Router, Schema

from pricing.explain import ExplainedLine
from spend.explaining import explained
from spend.queries.requests import RequestRow, request_by_id
from tenants.frame.operations import operation
from tenants.frame.problems import Problem
from tenants.gates import keys_seen
from tenants.http import TenantRequest
from tenants.permissions import Permission
from wire.money import usd_string

usage = Router(tags=["Usage"])

EventId = Annotated[UUID, Path(description="The event's id: the receipt's `x-spendops-event`.")]
_PICO = "As a text of digits: numbers of this size lose digits in some languages."


class LineOut(Schema):
    """One addend: count × price = amount."""

    unit: str = Field(examples=["input"])
    label: str = Field(examples=["input tokens"])
    count: int = Field(examples=[21])
    price_pico: str = Field(description=f"Pico-USD per unit. {_PICO}", examples=["150000"])
    amount_pico: str = Field(description=_PICO, examples=["3150000"])
    priced_as: str = Field(description="The unit whose price was taken.", examples=["input"])
    tier_above: int | None = Field(description="Tokens of context above which the price holds.", examples=[None])


class SourceOut(Schema):
    """Where the list prices are from."""

    name: str = Field(examples=["genai-prices"])
    version: str = Field(examples=["0.0.41"])
    url: str = Field(examples=["https://openai.com/api/pricing/"])
    seen_at: datetime = Field(examples=["2026-11-20T02:00:00Z"])


class CostOut(Schema):
    """The provider's price of the event, recomputed."""

    price_version: int = Field(examples=[3])
    provider: str = Field(description="Whose list prices apply.", examples=["openai"])
    model: str = Field(examples=["gpt-4o-mini"])
    lines: list[LineOut]
    total_pico: str | None = Field(description="null: unpriced, which is not free.", examples=["41550000"])
    total_usd: str | None = Field(examples=["0.000041550000"])
    unpriced: list[str] = Field(description="What had no price.", examples=[[]])
    text: str = Field(examples=["21 × 150,000 + 64 × 600,000 = 41,550,000 pico-USD"])
    source: SourceOut
    agrees: bool = Field(description="Whether the event's own cost is this.")


class OverrideApplied(Schema):
    """The override that decided."""

    id: str = Field(examples=["o_4k2m9x0c1v7b"])
    name: str = Field(examples=["Volume discount"])
    kind: str = Field(examples=["percent"])
    effect: str = Field(examples=["15% off the list price"])


class ChargeOut(Schema):
    """What the tenant is charged for the event, recomputed."""

    override_version: int = Field(description="0: the tenant had no overrides.", examples=[2])
    override: OverrideApplied | None = Field(description="null: the list price holds.")
    lines: list[LineOut]
    total_pico: str | None = Field(examples=["35317500"])
    total_usd: str | None = Field(examples=["0.000035317500"])
    unpriced: list[str] = Field(examples=[[]])
    text: str = Field(examples=["21 × 127,500 + 64 × 510,000 = 35,317,500 pico-USD"])
    agrees: bool = Field(description="Whether the event's own charge is this.")


class ExplanationOut(Schema):
    """A usage event and how its amounts came about."""

    event_id: UUID
    rev: int = Field(description="Above 1 when the event was priced anew.", examples=[1])
    at: datetime = Field(description="Its arrival, by which prices and overrides are chosen.")
    project_id: str = Field(examples=["p_4k2m9x0c1v7b"])
    provider: str = Field(examples=["openai"])
    model_asked: str = Field(examples=["gpt-4o-mini-2024-07-18"])
    model_priced: str = Field(description="“” when no list price was found.", examples=["gpt-4o-mini"])
    service_tier: str = Field(examples=[""])
    units: dict[str, int] = Field(examples=[{"input": 21, "output": 64}])
    cost_usd: str | None = Field(description="The event's own, exactly.", examples=["0.000041550000"])
    charge_usd: str | None = Field(examples=["0.000035317500"])
    cost: CostOut | None = Field(description="null: see why_no_cost.")
    why_no_cost: str = Field(examples=[""])
    charge: ChargeOut | None = Field(description="null: see why_no_charge.")
    why_no_charge: str = Field(examples=[""])


@operation(
    usage,
    "GET",
    "/{event_id}/explanation",
    Permission.SPEND_VIEW,
    Permission.SPEND_VIEW_OWN,
    answers={200: ExplanationOut, 503: Problem},
    summary="How an event's cost and charge came about",
)
def explain_usage(request: HttpRequest, event_id: EventId) -> ExplanationOut:
    """Recomputed from the price book and the overrides that the event names, to the last pico-USD."""
    known = cast(TenantRequest, request)
    row = request_by_id(known.tenant.id, str(event_id), keys=keys_seen(known))
    if row is None:
        raise Http404("There is nothing at this address.")
    return ExplanationOut.model_validate(_shown(known.tenant.id, row))


def _shown(tenant_id: str, row: RequestRow) -> dict[str, Any]:
    found = explained(tenant_id, row)
    cost, charge = found.cost, found.charge
    return {
        "event_id": row.event_id,
        "rev": row.rev,
        "at": row.ts,
        "project_id": row.project,
        "provider": row.provider,
        "model_asked": row.model_asked,
        "model_priced": row.model_priced,
        "service_tier": row.service_tier,
        "units": row.units,
        "cost_usd": _usd(row.cost),
        "charge_usd": _usd(row.charge),
        "cost": cost
        and {
            "price_version": cost.price_version,
            "provider": cost.provider,
            "model": cost.model,
            **_amounts(cost.lines, cost.total, cost.unpriced),
            "text": cost.text,
            "source": {
                "name": cost.source,
                "version": cost.source_version,
                "url": cost.source_url,
                "seen_at": cost.seen_at,
            },
            "agrees": found.cost_agrees,
        },
        "why_no_cost": found.why_not,
        "charge": charge
        and {
            "override_version": charge.override_version,
            "override": charge.override and charge.override._asdict(),
            **_amounts(charge.lines, charge.total, charge.unpriced),
            "text": charge.text,
            "agrees": found.charge_agrees,
        },
        "why_no_charge": found.why_no_charge,
    }


def _usd(amount: Decimal | None) -> str | None:
    """All twelve places, as events have them."""
    return None if amount is None else f"{amount:.12f}"


def _amounts(lines: tuple[ExplainedLine, ...], total: int | None, unpriced: tuple[str, ...]) -> dict[str, Any]:
    return {
        "lines": [
            {
                "unit": line.unit,
                "label": line.label,
                "count": line.count,
                "price_pico": str(line.price),
                "amount_pico": str(line.amount),
                "priced_as": line.priced_as,
                "tier_above": line.tier,
            }
            for line in lines
        ],
        "total_pico": None if total is None else str(total),
        "total_usd": None if total is None else usd_string(total),
        "unpriced": list(unpriced),
    }
