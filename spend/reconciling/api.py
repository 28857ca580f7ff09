"""Invoices by programs: compare one, and read what was found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Field, Path, Query, Router, Schema
from pydantic import ConfigDict

from spend.models import InvoiceComparison
from spend.reconciling.actions import TOLERANCE, compare_invoice
from spend.reconciling.queries import Compared, compared_rows, comparison_by_id, comparisons, usd_of
from tenants.errors import InvalidSettingError
from tenants.frame.operations import answered, operation
from tenants.frame.problems import Problem
from tenants.http import TenantRequest
from tenants.permissions import Permission

invoices = Router(tags=["Invoices"])

ComparisonId = Annotated[
    str, Path(description="The comparison's id.", pattern=r"^ic_[0-9a-z]{12}$", examples=["ic_4k2m9x0c1v7b"])
]
LISTED = 100
_PIECE = 2**20
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class ComparisonOut(Schema):
    """An invoice beside what was counted of the same UTC days. The classes come to the difference exactly."""

    id: str = Field(examples=["ic_4k2m9x0c1v7b"])
    provider: str = Field(examples=["openai"])
    source: str = Field(examples=["openai_costs"])
    file_name: str = Field(examples=["november.json"])
    sha256: str
    first: date
    last: date
    tolerance_usd: str = Field(examples=["0.010000000000"])
    totals_usd: dict[str, str] = Field(
        description="theirs, ours, difference (theirs less ours), and bypassed, mispriced, late, credit, rounding, "
        "unexplained.",
        examples=[{"theirs": "12.000000000000", "ours": "11.000000000000", "difference": "1.000000000000"}],
    )
    refused: int = Field(description="Lines that could not be read, and are in no sum.", examples=[0])
    created_at: datetime


class DayOut(Schema):
    """A UTC day and model."""

    day: date
    model: str = Field(examples=["gpt-4o-mini"])
    theirs_usd: str
    ours_usd: str
    difference_usd: str
    their_tokens: int | None = Field(description="null: the invoice does not say them.")
    our_tokens: int
    our_requests: int
    price_version: int = Field(description="The newest price book that its calls are priced by; 0: none.")
    parts_usd: dict[str, str] = Field(description="The difference by classes.", examples=[{"late": "0.700000000000"}])


class ComparisonDetail(ComparisonOut):
    """The same with all days and models."""

    days: list[DayOut]


class InvoiceQuery(Schema):
    """What the file is. The file itself is the body."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field("openai_costs", description="openai_costs, anthropic_costs, anthropic_costs_csv or invoice.")
    provider: str = Field("", max_length=64, description="Needed for source=invoice.", examples=["mistral"])
    tolerance: str = Field(TOLERANCE, max_length=20, description="USD, of a day and model.")
    file_name: str = Field("invoice", max_length=200)


@operation(
    invoices, "GET", "", Permission.SPEND_IMPORT, answers={200: list[ComparisonOut]}, summary="Invoices compared"
)
def list_comparisons(request: HttpRequest) -> list[dict[str, Any]]:
    """The newest hundred."""
    return [_shown(each) for each in comparisons()[:LISTED]]


@operation(
    invoices,
    "POST",
    "",
    Permission.SPEND_IMPORT,
    answers={200: ComparisonDetail, 503: Problem},
    summary="Compare an invoice",
)
def compare_an_invoice(request: HttpRequest, query: Query[InvoiceQuery]) -> HttpResponse:
    """The body is the file: CSV or JSON, 20 MB at most, sent as text/csv or application/json.

    It needs no Idempotency-Key: a comparison changes no sum.
    """
    known = cast(TenantRequest, request)
    if request.content_type in _FORMS:
        raise InvalidSettingError("Send the file itself as the body, as text/csv or application/json.", field="file")
    made = compare_invoice(
        tenant=known.tenant,
        kind=query.source,
        provider=query.provider,
        tolerance=query.tolerance,
        file_name=query.file_name,
        pieces=_pieces(request),
        by=known.actor,
    )
    return answered(ComparisonDetail(**_detail(made)), status=200)


@operation(
    invoices,
    "GET",
    "/{comparison_id}",
    Permission.SPEND_IMPORT,
    answers={200: ComparisonDetail},
    summary="One invoice compared",
)
def get_comparison(request: HttpRequest, comparison_id: ComparisonId) -> dict[str, Any]:
    """As it was found then: later calls and prices change nothing in it."""
    made = comparison_by_id(comparison_id)
    if made is None:
        raise Http404("There is nothing at this address.")
    return _detail(made)


def _pieces(request: HttpRequest) -> Iterator[bytes]:
    while piece := request.read(_PIECE):
        yield piece


def _shown(made: InvoiceComparison) -> dict[str, Any]:
    return {
        "id": made.pk,
        "provider": made.provider,
        "source": made.kind,
        "file_name": made.file_name,
        "sha256": made.digest,
        "first": made.first,
        "last": made.last,
        "tolerance_usd": f"{usd_of(str(made.tolerance)):.12f}",
        "totals_usd": {name: f"{usd_of(amount):.12f}" for name, amount in made.totals.items()},
        "refused": made.refused,
        "created_at": made.created_at,
    }


def _detail(made: InvoiceComparison) -> dict[str, Any]:
    return _shown(made) | {"days": [_day(row) for row in compared_rows(made)]}


def _day(row: Compared) -> dict[str, Any]:
    return {
        "day": row.day,
        "model": row.model,
        "theirs_usd": f"{row.theirs:.12f}",
        "ours_usd": f"{row.ours:.12f}",
        "difference_usd": f"{row.difference:.12f}",
        "their_tokens": row.their_tokens,
        "our_tokens": row.our_tokens,
        "our_requests": row.our_requests,
        "price_version": row.price_version,
        "parts_usd": {why.value: f"{amount:.12f}" for why, amount in row.parts.items()},
    }
