"""Statements: the months, one month's statement, its files, and sealing it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, cast

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Field, Path, Query, Router, Schema
from pydantic import ConfigDict, StringConstraints

from spend.closing.actions import seal_month
from spend.closing.drafts import Totals, draft
from spend.closing.months import Month, months_of
from spend.closing.queries import TYPES, Running, file_of, month_of, running_totals, statement_of
from spend.closing.statement import read
from spend.models import Statement
from spend.views.live import today_of
from tenants.frame.operations import operation
from tenants.frame.problems import Problem
from tenants.http import TenantRequest
from tenants.permissions import Permission
from wire.money import pico_from_usd_string

statements = Router(tags=["Statements"])

MonthPath = Annotated[str, Path(pattern=r"^[0-9]{4}-[0-9]{2}$", description="Such as 2026-10.")]
Usd = Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,26}\.[0-9]{12}$")]


class MonthOut(Schema):
    """A month of the tenant, in the tenant's time zone."""

    month: str = Field(examples=["2026-10"])
    state: Literal["open", "sealing", "sealed"] = Field(description="Only a sealed month's figures are final.")
    waits_for: str = Field(description="What a month that is being sealed waits for.", examples=[""])
    charge_usd: str = Field(description="So far, unless sealed.", examples=["1204.550000000000"])
    requests: int = Field(examples=[48210])
    unpriced_requests: int = Field(description="They count as nothing in the charge.", examples=[0])
    number: str | None = Field(description="The statement's; null: there is none yet.", examples=["2026-10-0003"])
    sha256: str | None = Field(description="Of the statement's JSON.")
    pdf_sha256: str | None
    sealed_at: datetime | None


class MonthsOut(Schema):
    """All months from the first usage on, the newest first."""

    months: list[MonthOut]


class StatementOut(Schema):
    """A month and what its statement says."""

    month: MonthOut
    statement: dict[str, Any] = Field(
        description="The stored document, or the draft of a month that is not sealed (`final` is false). Its very "
        "bytes, of which the checksum is, are at `file?kind=json`."
    )


class Confirmed(Schema):
    """The totals of the draft that somebody saw. When they are others by now, nothing is sealed."""

    model_config = ConfigDict(extra="forbid")

    charge_usd: Usd = Field(examples=["1204.550000000000"])
    requests: int = Field(ge=0, examples=[48210])
    unpriced_requests: int = Field(ge=0, examples=[0])


class FileQuery(Schema):
    """Which file."""

    kind: Literal["json", "html", "pdf"] = Field("json", examples=["pdf"])


@operation(
    statements,
    "GET",
    "",
    Permission.SPEND_VIEW,
    answers={200: MonthsOut, 503: Problem},
    summary="Months, the newest first",
)
def list_months(request: HttpRequest) -> MonthsOut:
    """All months from the first usage on."""
    tenant = cast(TenantRequest, request).tenant
    months = months_of(tenant, today=today_of(tenant))
    running = running_totals(tenant, months)
    return MonthsOut(months=[_month(each, running.get(each.first)) for each in months])


@operation(
    statements,
    "GET",
    "/{month}",
    Permission.SPEND_VIEW,
    answers={200: StatementOut, 503: Problem},
    summary="One month's statement",
)
def get_statement(request: HttpRequest, month: MonthPath) -> StatementOut:
    """The stored statement, or the draft of a month that is not sealed, whose figures still move."""
    tenant = cast(TenantRequest, request).tenant
    found = _month_for(request, month)
    stored = statement_of(found)
    document = read(stored.body) if stored else draft(tenant, found.first)
    totals = Totals.of(document)
    running = Running(Decimal(document["totals"]["total"]["charge_usd"]), totals.requests, totals.unpriced_requests)
    return StatementOut(month=_month(found, running), statement=document)


@operation(
    statements,
    "GET",
    "/{month}/file",
    Permission.SPEND_EXPORT,
    answers={200: None, 503: Problem},
    file_types=TYPES.values(),
    summary="A statement as a file",
)
def get_statement_file(request: HttpRequest, month: MonthPath, query: Query[FileQuery]) -> HttpResponse:
    """The bytes that were stored at sealing (JSON, PDF) or are made of them (HTML); of an open month, a draft."""
    body = file_of(cast(TenantRequest, request).tenant, _month_for(request, month), query.kind)
    name = f"statement-{month}.{query.kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(body, content_type=TYPES[query.kind], headers=headers)


@operation(
    statements,
    "POST",
    "/{month}/seal",
    Permission.MONTHS_CLOSE,
    answers={200: MonthOut, 503: Problem},
    conflicts=True,
    summary="Seal a month, for ever",
)
def seal_month_of_tenant(request: HttpRequest, month: MonthPath, payload: Confirmed) -> MonthOut:
    """It is sealed within seconds; ask again for its state. Months are sealed in their order, and none is opened again:
    usage that comes later and prices that change for it are booked in the month that is open then.
    """
    known = cast(TenantRequest, request)
    found = _month_for(request, month)
    totals = Totals(pico_from_usd_string(payload.charge_usd), payload.requests, payload.unpriced_requests)
    seal = seal_month(tenant=known.tenant, month=found.first, confirmed=str(totals), by=known.actor)
    return _month(found._replace(seal=seal), Running(Decimal(payload.charge_usd), *totals[1:]))


def _month_for(request: HttpRequest, text: str) -> Month:
    tenant = cast(TenantRequest, request).tenant
    found = month_of(tenant, text, today=today_of(tenant))
    if found is None:
        raise Http404("There is nothing at this address.")
    return found


def _month(month: Month, running: Running | None) -> MonthOut:
    stored: Statement | None = statement_of(month)
    so_far = running or Running(Decimal(), 0, 0)
    charge, requests, unpriced = f"{so_far.charge:.12f}", so_far.requests, so_far.unpriced
    if stored:
        total = read(stored.body)["totals"]["total"]
        charge, requests, unpriced = total["charge_usd"], total["requests"], total["unpriced_requests"]
    return MonthOut(
        month=f"{month.first:%Y-%m}",
        state=cast(Any, month.seal.state) if month.seal else "open",
        waits_for=month.seal.waits_for if month.seal else "",
        charge_usd=charge,
        requests=requests,
        unpriced_requests=unpriced,
        number=stored.number if stored else None,
        sha256=stored.sha256 if stored else None,
        pdf_sha256=stored.pdf_sha256 if stored else None,
        sealed_at=month.seal.sealed_at if month.seal else None,
    )
