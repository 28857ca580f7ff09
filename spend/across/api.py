"""Spend of all tenants side by side, for whoever looks after the installation."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal, cast

from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Query, Router, Schema

from spend.across.rows import TenantRow, chosen_rows, side_by_side
from spend.periods import Choice, PeriodError
from spend.queries.sums_of_tenants import TenantSum
from tenants.frame.days import Day
from tenants.frame.operations import operation
from tenants.frame.problems import ApiProblem, Problem
from tenants.gates import may_manage_all
from tenants.http import TenantRequest
from tenants.permissions import Permission

spend_of_tenants = Router(tags=["Spend"])

MOST = 1_000


class TenantsQuery(Schema):
    """A period, and which tenants of it."""

    period: Literal["month", "7d", "30d", "last-month", "custom"] = Field(
        "month", description="Each tenant's own; custom: from `first` to `last`.", examples=["month"]
    )
    first: Day | None = Field(None, examples=["2026-11-01"])
    last: Day | None = Field(None, examples=["2026-11-21"])
    env: str = Field("", max_length=16, description="An environment; all when left out.", examples=[""])
    search: str = Field("", max_length=120, description="Part of a name or of an id.", examples=[""])
    sort: Literal["charge", "name", "cost", "margin", "change", "requests", "tokens", "unpriced", "errors"] = Field(
        "charge", examples=["charge"]
    )
    all: bool = Field(False, description="Also tenants that used nothing.", examples=[False])
    limit: int = Field(100, ge=1, le=MOST, examples=[100])
    offset: int = Field(0, ge=0, le=10_000_000, examples=[0])


class TenantSumOut(Schema):
    """What days come to."""

    requests: int = Field(examples=[120])
    input_tokens: int = Field(examples=[21000])
    output_tokens: int = Field(examples=[64000])
    unpriced_requests: int = Field(examples=[0])
    errors: int = Field(examples=[2])
    cost_usd: str = Field(examples=["1.250000000000"])
    charge_usd: str = Field(examples=["1.500000000000"])
    margin_usd: str = Field(description="Charge less cost.", examples=["0.250000000000"])


class TenantSpendOut(TenantSumOut):
    """A tenant's days of the period."""

    tenant_id: str = Field(examples=["t_4k2m9x0c1v7b"])
    name: str = Field(examples=["Acme"])
    time_zone: str = Field(description="Its days are those of this zone.", examples=["Asia/Kolkata"])
    first: date | None = Field(description="null: its first day has not begun.", examples=["2026-11-01"])
    last: date | None = Field(examples=["2026-11-21"])
    compared_first: date | None = Field(description="The days that those that are over are held against.")
    compared_last: date | None
    closed_charge_usd: str = Field(description="Of the days that are over.", examples=["1.400000000000"])
    before_charge_usd: str = Field(description="Of the days they are held against.", examples=["1.000000000000"])
    share: str | None = Field(description="Of all tenants' charge; null when there is none.", examples=["0.2500"])


class TenantsSpendOut(Schema):
    """Tenants in an order, and the sum of all of them, those not listed included."""

    items: list[TenantSpendOut]
    count: int = Field(description="How many tenants match.", examples=[1])
    total: TenantSumOut


@operation(
    spend_of_tenants,
    "GET",
    "",
    Permission.SPEND_VIEW_ALL,
    answers={200: TenantsSpendOut, 503: Problem},
    summary="Spend of all tenants side by side",
)
def spend_by_tenant(request: HttpRequest, wanted: Query[TenantsQuery]) -> Any:
    """Each tenant's sums are those of its own pages. A service token must be one of all tenants."""
    if not may_manage_all(cast(TenantRequest, request)):
        raise ApiProblem(403, "scope_required", "A token of one tenant sees that tenant only: use one of all tenants.")
    try:
        found = side_by_side(
            Choice(wanted.period),
            now=timezone.now(),
            first=wanted.first,
            last=wanted.last,
            envs=[wanted.env] if wanted.env else [],
        )
    except PeriodError as error:
        raise ApiProblem(422, "invalid_period", str(error)) from error
    rows = chosen_rows(found, search=wanted.search, sort=wanted.sort, all_of_them=wanted.all)
    shown = rows[wanted.offset : wanted.offset + wanted.limit]
    return {"items": [_row(row) for row in shown], "count": len(rows), "total": _sum(found.total)}


def _sum(of: TenantSum) -> dict[str, Any]:
    amounts = {"cost_usd": of.cost, "charge_usd": of.charge, "margin_usd": of.margin}
    counts = ("requests", "input_tokens", "output_tokens", "unpriced_requests", "errors")
    return {name: getattr(of, name) for name in counts} | {name: f"{amount:.12f}" for name, amount in amounts.items()}


def _row(row: TenantRow) -> dict[str, Any]:
    compared = row.period.compared() if row.period else None
    return _sum(row.now) | {
        "tenant_id": row.id,
        "name": row.name,
        "time_zone": row.zone,
        "first": row.period.first if row.period else None,
        "last": row.period.last if row.period else None,
        "compared_first": compared[0] if compared else None,
        "compared_last": compared[1] if compared else None,
        "closed_charge_usd": f"{row.closed.charge:.12f}",
        "before_charge_usd": f"{row.before.charge:.12f}",
        "share": None if row.share is None else f"{row.share:.4f}",
    }
