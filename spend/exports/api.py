"""Exports: ask for a file, see how far it is, take it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import Field, Path, Query, Router, Schema
from pydantic import ConfigDict

from spend.clickhouse.errors import TooMuchError, UnavailableError
from spend.exports.actions import begin_export, cancel_export, delete_export
from spend.exports.formats import KEPT
from spend.exports.queries import export_by_id, exports
from spend.exports.wanted import Kind, wanted_of
from spend.models import Export
from spend.views.exports import file_response
from tenants.frame.idempotency import idempotent
from tenants.frame.operations import created, operation
from tenants.frame.paging import Page, Paging, page_of
from tenants.frame.problems import ApiProblem, Problem
from tenants.http import TenantRequest
from tenants.permissions import Permission

exported = Router(tags=["Exports"])

ExportId = Annotated[str, Path(pattern=r"^x_[0-9a-z]{12}$", description="The export's id.")]
_QUERY = (
    "What is in it, as an address of the Explore page says it: `first` and `last` (days, both included), `zone` (the "
    "tenant's when left out), filters by dimension (`env=prod&not-model=gpt-5&tag:team=search`, `none=end_user` for "
    "those without one); of spend also `by` (a dimension, up to six times) and `each` (`whole`, `day` or `hour`); of "
    "usage also `called` (a model, as priced or as asked) and `search` (an id); of denials `reason`."
)


class ExportIn(Schema):
    """A file that is asked for."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["spend", "usage", "denials", "focus-1.2", "focus-1.4"] = Field(examples=["spend"])
    format: Literal["csv", "xlsx", "parquet"] = Field("csv", description="FOCUS comes as csv or parquet.")
    query: str = Field(
        max_length=20_000, description=_QUERY, examples=["first=2026-11-01&last=2026-11-30&by=model&by=key"]
    )
    require_complete: bool = Field(
        False, description="Rather no file (409 `conflict`) than one of a period that is not complete."
    )


class ExportOut(Schema):
    """An export. Its file is there while it is `done`."""

    id: str = Field(examples=["x_4k2m9x0c1v7b"])
    kind: str = Field(examples=["spend"])
    format: str = Field(examples=["csv"])
    query: str = Field(description="What is in it, with the days and the zone spelt out.")
    status: Literal["waiting", "running", "done", "failed", "cancelled", "expired"]
    rows: int = Field(description="Written so far.", examples=[1204])
    rows_expected: int | None = Field(description="null: not known beforehand.", examples=[1204])
    days_done: int = Field(examples=[20])
    days: int = Field(examples=[30])
    bytes: int = Field(examples=[88_012])
    sha256: str = Field(description="“” until it is done.")
    complete_until: datetime | None = Field(description="All that gateways acknowledged until then is in it.")
    partial: list[str] = Field(description="Why it does not hold all of its period; empty: it does.", examples=[[]])
    manifest: dict[str, Any] = Field(description="What the file says of itself: columns, sums, filters, notes.")
    error: str = Field(examples=[""])
    created_by: str = Field(examples=["u_4k2m9x0c1v7b"])
    created_at: datetime
    ended_at: datetime | None
    expires_at: datetime | None = Field(description="The file is deleted then.")


@operation(
    exported, "GET", "", Permission.SPEND_EXPORT, answers={200: Page[ExportOut]}, summary="Exports, the newest first"
)
def list_exports(request: HttpRequest, paging: Query[Paging]) -> Any:
    """Of the tenant."""
    return page_of(exports(), paging, _shown, newest_by=("created_at", "id"), salt="exports")


@operation(
    exported,
    "POST",
    "",
    Permission.SPEND_EXPORT,
    answers={201: ExportOut, 503: Problem},
    creates=True,
    summary="Ask for a file",
)
@idempotent
def create_export(request: HttpRequest, payload: ExportIn) -> HttpResponse:
    """It is written in the background: ask for it until its status is `done`."""
    known = cast(TenantRequest, request)
    try:
        job = begin_export(
            tenant=known.tenant,
            wanted=wanted_of(Kind(payload.kind), payload.query),
            written=payload.format,
            require_complete=payload.require_complete,
            by=known.actor,
        )
    except TooMuchError as error:
        raise ApiProblem(422, "refused", "That is too much for one file: choose fewer days.") from error
    except UnavailableError as error:
        raise ApiProblem(503, "unavailable", "Usage cannot be read at present. Try again in a moment.") from error
    return created(ExportOut(**_shown(job)))


@operation(exported, "GET", "/{export_id}", Permission.SPEND_EXPORT, answers={200: ExportOut}, summary="One export")
def get_export(request: HttpRequest, export_id: ExportId) -> Any:
    """How far it is, and what came of it."""
    return _shown(_row(export_id))


@operation(
    exported,
    "GET",
    "/{export_id}/file",
    Permission.SPEND_EXPORT,
    answers={200: None},
    file_types=[kept.content_type for kept in KEPT.values()],
    summary="The file of an export",
)
def get_export_file(request: HttpRequest, export_id: ExportId) -> HttpResponseBase:
    """The bytes themselves; `X-SHA256` is their checksum. 404 until it is done, and once it has expired."""
    return file_response(cast(TenantRequest, request), _row(export_id))


@operation(
    exported,
    "POST",
    "/{export_id}/cancel",
    Permission.SPEND_EXPORT,
    answers={200: ExportOut},
    conflicts=True,
    summary="Cancel an export",
)
def cancel_export_by_id(request: HttpRequest, export_id: ExportId) -> Any:
    """While it waits or is being written."""
    return _shown(cancel_export(export=_row(export_id), by=cast(TenantRequest, request).actor))


@operation(
    exported,
    "DELETE",
    "/{export_id}",
    Permission.SPEND_EXPORT,
    answers={204: None},
    conflicts=True,
    summary="Delete an export and its file",
)
def delete_export_by_id(request: HttpRequest, export_id: ExportId) -> HttpResponse:
    """Once it is over."""
    delete_export(export=_row(export_id), by=cast(TenantRequest, request).actor)
    return HttpResponse(status=204)


def _row(export_id: str) -> Export:
    found = export_by_id(export_id)
    if found is None:
        raise Http404("There is nothing at this address.")
    return found


def _shown(job: Export) -> dict[str, Any]:
    plain = ("kind", "format", "query", "status", "rows", "days_done", "days", "bytes", "sha256", "complete_until")
    rest = ("partial", "manifest", "error", "created_by", "created_at", "ended_at", "expires_at")
    said = {name: getattr(job, name) for name in (*plain, *rest)}
    return {"id": job.pk, "rows_expected": job.total, **said}
