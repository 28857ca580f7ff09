"""Imports by programs: hand a file in, look what it would bring, confirm, discard, withdraw."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Field, Path, Query, Router, Schema
from pydantic import ConfigDict

from spend.importing.actions import PART, begin_import, confirm_import, discard_import, withdraw_import
from spend.importing.forms import read_mapping
from spend.importing.queries import import_by_id, imports, shown_sums
from spend.models import UsageImport
from spend.zones import moment_of
from tenants.errors import InvalidSettingError
from tenants.frame.operations import answered, operation
from tenants.http import TenantRequest
from tenants.permissions import Permission

imported = Router(tags=["Imports"])

ImportId = Annotated[
    str, Path(description="The import's id.", pattern=r"^im_[0-9a-z]{12}$", examples=["im_4k2m9x0c1v7b"])
]
LISTED = 100
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class RowsOut(Schema):
    """Rows by what becomes of them."""

    read: int = Field(0, examples=[1204])
    new: int = Field(0, examples=[1187])
    changed: int = Field(0, description="Buckets that grew since they came in.", examples=[2])
    same: int = Field(0, description="They stand already.", examples=[10])
    matched: int = Field(0, description="They passed the gateway as a whole, and are not counted again.", examples=[4])
    reduced: int = Field(0, description="Of those that come in: a part of them passed the gateway.", examples=[1])
    refused: int = Field(0, examples=[1])


class ImportedSumOut(Schema):
    """What comes in of a UTC day and model."""

    day: str = Field(examples=["2026-11-01"])
    model: str = Field(description="“” for all that are too many to list.", examples=["gpt-4o-mini"])
    requests: int = Field(examples=[42])
    tokens: int = Field(examples=[1100])
    cost_usd: str = Field(examples=["0.000210000000"])
    charge_usd: str = Field(examples=["0.000210000000"])
    unpriced_requests: int = Field(examples=[0])


class RefusedOut(Schema):
    """A row that cannot be taken."""

    line: int = Field(examples=[12])
    path: str = Field(description="Within a JSON document.", examples=["data[0].results[3]"])
    message: str = Field(examples=["input is 'x': give a whole number from 0 on."])


class ImportOut(Schema):
    """An import. Until it is confirmed, its rows are what would come in."""

    id: str = Field(examples=["im_4k2m9x0c1v7b"])
    source: str = Field(description="What kind of file it is.", examples=["openai_usage"])
    file_name: str = Field(examples=["usage.json"])
    sha256: str
    bytes: int = Field(examples=[20480])
    project_id: str = Field(examples=["p_4k2m9x0c1v7b"])
    env: str = Field(examples=["prod"])
    status: str = Field(
        description="checking, checked (waits for the confirmation), importing, done, withdrawing, withdrawn, failed",
        examples=["checked"],
    )
    error: str = Field(description="Why it failed, or what it waits for.", examples=[""])
    begin: datetime | None = Field(description="Its first row.")
    end: datetime | None = Field(description="Its last row.")
    rows: RowsOut
    created_at: datetime
    ended_at: datetime | None


class ImportDetail(ImportOut):
    """The same with what comes in, and what is refused (the first thousand rows)."""

    sums: list[ImportedSumOut]
    refused: list[RefusedOut]


class ImportQuery(Schema):
    """What the file is and where it counts. The file itself is the body."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(
        "file", description="The kind of file, as docs/imports.md lists them.", examples=["openai_usage"]
    )
    project: str = Field(
        "",
        description="Where usage counts that nothing else names a project for; may be left out when there is one only.",
        max_length=64,
    )
    env: str = Field("prod", max_length=32)
    file_name: str = Field("usage", max_length=200, examples=["usage.json"])
    mapping: str = Field(
        "",
        description="Lines like “key_abc = Checkout, default”: the provider's key, project or workspace, ours, and "
        "the gateway's credential.",
        max_length=20_000,
    )


@operation(imported, "GET", "", Permission.SPEND_IMPORT, answers={200: list[ImportOut]}, summary="Imports")
def list_imports(request: HttpRequest) -> list[dict[str, Any]]:
    """The newest hundred."""
    return [_shown(job) for job in imports()[:LISTED]]


@operation(
    imported,
    "POST",
    "",
    Permission.SPEND_IMPORT,
    answers={202: ImportDetail},
    conflicts=True,
    summary="Hand a file in, to be checked",
)
def hand_file_in(request: HttpRequest, query: Query[ImportQuery]) -> HttpResponse:
    """The body is the file: CSV, JSON or JSON lines, 200 MB at most, sent as text/csv or application/json.

    It is checked within seconds; nothing counts before it is confirmed. It needs no
    Idempotency-Key: handed in again, a file is checked again, and rows that stand already do not count twice.
    """
    known = cast(TenantRequest, request)
    if request.content_type in _FORMS:
        raise InvalidSettingError("Send the file itself as the body, as text/csv or application/json.", field="file")
    job = begin_import(
        tenant=known.tenant,
        kind=query.source,
        project_id=query.project,
        env=query.env,
        file_name=query.file_name,
        pieces=_pieces(request),
        mapping=read_mapping(query.mapping),
        by=known.actor,
    )
    return answered(ImportDetail(**_detail(job)), status=202)


@operation(imported, "GET", "/{import_id}", Permission.SPEND_IMPORT, answers={200: ImportDetail}, summary="One import")
def get_import(request: HttpRequest, import_id: ImportId) -> dict[str, Any]:
    """What would come in, or came in, and what was refused."""
    return _detail(_import(import_id))


@operation(
    imported,
    "POST",
    "/{import_id}/confirm",
    Permission.SPEND_IMPORT,
    answers={200: ImportOut},
    conflicts=True,
    summary="Import for real",
)
def confirm_import_by_id(request: HttpRequest, import_id: ImportId) -> dict[str, Any]:
    """What was checked comes in; ask again for its status."""
    return _shown(confirm_import(job=_import(import_id), by=cast(TenantRequest, request).actor))


@operation(
    imported,
    "POST",
    "/{import_id}/withdraw",
    Permission.SPEND_IMPORT,
    answers={200: ImportOut},
    conflicts=True,
    summary="Withdraw an import",
)
def withdraw_import_by_id(request: HttpRequest, import_id: ImportId) -> dict[str, Any]:
    """All sums become what they were without it. Refused when it reaches into a sealed month."""
    return _shown(withdraw_import(job=_import(import_id), by=cast(TenantRequest, request).actor))


@operation(
    imported,
    "DELETE",
    "/{import_id}",
    Permission.SPEND_IMPORT,
    answers={204: None},
    conflicts=True,
    summary="Discard a file that was only checked",
)
def discard_import_by_id(request: HttpRequest, import_id: ImportId) -> HttpResponse:
    """Its content is forgotten at once."""
    discard_import(job=_import(import_id), by=cast(TenantRequest, request).actor)
    return HttpResponse(status=204)


def _pieces(request: HttpRequest) -> Iterator[bytes]:
    while piece := request.read(PART):
        yield piece


def _import(import_id: str) -> UsageImport:
    job = import_by_id(import_id)
    if job is None:
        raise Http404("There is nothing at this address.")
    return job


def _shown(job: UsageImport) -> dict[str, Any]:
    return {
        "id": job.pk,
        "source": job.kind,
        "file_name": job.file_name,
        "sha256": job.digest,
        "bytes": job.size,
        "project_id": job.project_id,
        "env": job.env,
        "status": job.status,
        "error": job.error,
        "begin": None if job.begin_ms is None else moment_of(job.begin_ms),
        "end": None if job.end_ms is None else moment_of(job.end_ms),
        "rows": job.counts or {},
        "created_at": job.created_at,
        "ended_at": job.ended_at,
    }


def _detail(job: UsageImport) -> dict[str, Any]:
    sums = [
        {
            "day": each.day,
            "model": each.model,
            "requests": each.calls,
            "tokens": each.tokens,
            "cost_usd": f"{each.cost:.12f}",
            "charge_usd": f"{each.charge:.12f}",
            "unpriced_requests": each.unpriced,
        }
        for each in shown_sums(job)
    ]
    refused = [{"line": line, "path": path, "message": why} for line, path, why in job.errors]
    return _shown(job) | {"sums": sums, "refused": refused}
