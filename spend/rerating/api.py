"""Re-ratings: begin a dry run, see what it found, apply exactly that, stop, and let it go on."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Field, Path, Query, Router, Schema
from pydantic import ConfigDict, StringConstraints

from spend.models import ReratedTenant, Rerating
from spend.rerating.actions import apply_dry_run, outdated, resume_rerating, start_dry_run, stop_rerating
from spend.rerating.queries import applied_by, found_by, reratings
from spend.rerating.sums import Sums
from tenants.api.schemas import Moment
from tenants.errors import InvalidSettingError, StatusError
from tenants.frame.idempotency import idempotent
from tenants.frame.operations import created, operation
from tenants.frame.paging import Page, Paging, page_of
from tenants.gates import may_manage_all
from tenants.http import TenantRequest
from tenants.permissions import Permission

rerating = Router(tags=["Re-ratings"])

_STRICT = ConfigDict(extra="forbid")
_PICO = "Pico-USD as a text of digits: numbers of this size lose digits in some languages."
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
JobId = Annotated[str, Path(pattern=r"^r_[0-9a-z]{1,30}$", description="The re-rating's id.")]
TenantId = Annotated[str, StringConstraints(max_length=64, pattern=_PRINTABLE)]
ProviderName = Annotated[str, StringConstraints(max_length=64, pattern=_PRINTABLE)]
ModelName = Annotated[str, StringConstraints(max_length=400, pattern=_PRINTABLE)]


class DryRunIn(Schema):
    """Which past calls are to be priced anew. What is left empty narrows nothing."""

    model_config = _STRICT

    begin: Moment = Field(description="Calls that arrived from then on.", examples=["2026-11-01T00:00:00Z"])
    end: Moment = Field(description="And before then.", examples=["2026-11-21T00:00:00Z"])
    tenant: TenantId = Field("", description="A tenant's id; without it every tenant's calls.", examples=[""])
    provider: ProviderName = Field("", examples=["openai"])
    model: ModelName = Field("", description="As it was asked for, or as it was priced.", examples=["gpt-4o-mini"])
    unpriced_only: bool = Field(False, description="Only calls that have no price.")


class ApplyIn(Schema):
    """What was read in the dry run, so that nothing else is written."""

    model_config = _STRICT

    difference_pico: Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,40}$")] = Field(
        description="The dry run's own, by which the charge changes in all.", examples=["6000"]
    )


class SumsOut(Schema):
    """What was looked at and what changes. An unpriced call adds nothing to the amounts."""

    calls: int = Field(description="Looked at.", examples=[3])
    changed: int = Field(description="Whose cost, charge or model comes out otherwise.", examples=[3])
    cost_before_pico: str = Field(description=_PICO, examples=["0"])
    cost_after_pico: str = Field(examples=["6000"])
    charge_before_pico: str = Field(examples=["0"])
    charge_after_pico: str = Field(examples=["6000"])
    difference_pico: str = Field(description="By which the charge changes.", examples=["6000"])
    unpriced_before: int = Field(examples=[3])
    unpriced_after: int = Field(examples=[0])


class JobOut(Schema):
    """A re-rating, and how far it is."""

    id: str = Field(examples=["r_4k2m9x0c1v7b"])
    dry_run: bool = Field(description="It writes nothing.")
    applies: str | None = Field(description="The dry run that it writes.", examples=[None])
    status: Literal["waiting", "running", "done", "stopped", "failed"]
    begin: datetime = Field(examples=["2026-11-01T00:00:00Z"])
    end: datetime = Field(examples=["2026-11-21T00:00:00Z"])
    tenant: str = Field(description="Empty for all.", examples=[""])
    provider: str = Field(examples=["openai"])
    model: str = Field(examples=["gpt-4o-mini"])
    unpriced_only: bool
    price_version: int = Field(description="The price book that it prices by.", examples=[8])
    calls: int = Field(description="Looked at so far.", examples=[120000])
    total: int | None = Field(description="About how many there are; null before they are counted.", examples=[1000000])
    changed: int = Field(examples=[3])
    error: str = Field(description="Why it failed.", examples=[""])
    created_by: str = Field(examples=["u_4k2m9x0c1v7b"])
    created_at: datetime = Field(examples=["2026-11-21T09:30:00Z"])
    ended_at: datetime | None = Field(examples=[None])


class FoundOut(JobOut):
    """A re-rating with what it found so far in all tenants together."""

    sums: SumsOut
    applied_by: str | None = Field(description="The re-rating that wrote what this dry run found.", examples=[None])
    appliable: bool = Field(description="Whether it is a dry run that can be applied now.")
    why_not: str = Field(description="Why not, when it is a finished dry run.", examples=[""])


class JobPage(Page[JobOut]):
    """A page of re-ratings."""


class TenantSumsOut(SumsOut):
    """What a re-rating found in one tenant so far."""

    tenant: str = Field(examples=["t_4k2m9x0c1v7b"])
    override_version: int = Field(description="Its overrides that are applied; 0: it has none.", examples=[2])


class TenantSumsPage(Page[TenantSumsOut]):
    """A page of tenants."""


@operation(rerating, "GET", "", Permission.PRICES_CHANGE, answers={200: JobPage}, summary="Re-ratings")
def list_reratings(request: HttpRequest, paging: Query[Paging]) -> Any:
    """The newest first. Who may not act for all tenants sees those of one's own tenant."""
    return page_of(_jobs(request), paging, _job_shown, newest_by=("created_at", "id"), salt="re-ratings")


@operation(
    rerating,
    "POST",
    "",
    Permission.PRICES_CHANGE,
    answers={201: FoundOut},
    creates=True,
    summary="Begin a dry run",
)
@idempotent
def begin_dry_run(request: HttpRequest, payload: DryRunIn) -> HttpResponse:
    """It writes nothing, and says tenant by tenant what these calls would cost by the prices that hold now."""
    known = cast(TenantRequest, request)
    tenant = payload.tenant.strip()
    if not may_manage_all(known) and tenant != known.tenant.pk:
        raise InvalidSettingError("You act for one tenant: name it.", field="tenant")
    job = start_dry_run(
        begin=payload.begin,
        end=payload.end,
        tenant_id=tenant,
        provider=payload.provider,
        model=payload.model,
        unpriced_only=payload.unpriced_only,
        by=known.actor,
    )
    return created(_found(job))


@operation(
    rerating, "GET", "/{rerating_id}", Permission.PRICES_CHANGE, answers={200: FoundOut}, summary="One re-rating"
)
def get_rerating(request: HttpRequest, rerating_id: JobId) -> FoundOut:
    """How far it is, and what it found so far."""
    return _found(_job(request, rerating_id))


@operation(
    rerating,
    "GET",
    "/{rerating_id}/tenants",
    Permission.PRICES_CHANGE,
    answers={200: TenantSumsPage},
    summary="What it found by tenant",
)
def list_rerated_tenants(request: HttpRequest, rerating_id: JobId, paging: Query[Paging]) -> Any:
    """The tenant that it came to last first."""
    rows = ReratedTenant.objects.filter(rerating=_job(request, rerating_id))
    return page_of(rows, paging, _tenant_shown, newest_by=("id",), salt=f"re-rating {rerating_id}")


@operation(
    rerating,
    "POST",
    "/{rerating_id}/apply",
    Permission.PRICES_CHANGE,
    answers={201: FoundOut},
    creates=True,
    summary="Apply a dry run",
)
@idempotent
def apply_dry_run_by_id(request: HttpRequest, rerating_id: JobId, payload: ApplyIn) -> HttpResponse:
    """Writes what it found, once, and only while prices and overrides are still those of the dry run."""
    dry = _job(request, rerating_id)
    if found_by(dry).whole.difference != int(payload.difference_pico):
        raise StatusError("The difference is another one than you sent. Nothing was changed.", field="difference_pico")
    return created(_found(apply_dry_run(dry_run=dry, by=cast(TenantRequest, request).actor)))


@operation(
    rerating,
    "POST",
    "/{rerating_id}/stop",
    Permission.PRICES_CHANGE,
    answers={200: FoundOut},
    conflicts=True,
    summary="Stop a re-rating",
)
def stop_rerating_by_id(request: HttpRequest, rerating_id: JobId) -> FoundOut:
    """After the block in hand. What it wrote stays, and it can go on."""
    return _found(stop_rerating(job=_job(request, rerating_id), by=cast(TenantRequest, request).actor))


@operation(
    rerating,
    "POST",
    "/{rerating_id}/resume",
    Permission.PRICES_CHANGE,
    answers={200: FoundOut},
    conflicts=True,
    summary="Let a re-rating go on",
)
def resume_rerating_by_id(request: HttpRequest, rerating_id: JobId) -> FoundOut:
    """One that was stopped or failed goes on where it was."""
    return _found(resume_rerating(job=_job(request, rerating_id), by=cast(TenantRequest, request).actor))


def _jobs(request: HttpRequest) -> QuerySet[Rerating]:
    """What the caller may see: everything, or what concerns the caller's own tenant alone."""
    known = cast(TenantRequest, request)
    return reratings() if may_manage_all(known) else reratings().filter(tenant_id=known.tenant.pk)


def _job(request: HttpRequest, rerating_id: str) -> Rerating:
    job = _jobs(request).filter(pk=rerating_id).first()
    if job is None:
        raise Http404("There is nothing at this address.")
    return job


def _job_shown(job: Rerating) -> dict[str, Any]:
    same = ("id", "status", "begin", "end", "provider", "model", "unpriced_only", "price_version", "total", "changed")
    more = ("error", "created_by", "created_at", "ended_at")
    return {name: getattr(job, name) for name in same + more} | {
        "dry_run": job.dry,
        "applies": job.dry_run_id,
        "tenant": job.tenant_id,
        "calls": job.events,
    }


def _found(job: Rerating) -> FoundOut:
    done = job.dry and job.status == Rerating.Status.DONE
    applied, why_not = applied_by(job) if job.dry else None, outdated(job) if done else ""
    whole = found_by(job).whole
    return FoundOut.model_validate(
        _job_shown(job)
        | {
            "sums": _sums(whole),
            "applied_by": applied.pk if applied else None,
            "appliable": done and not why_not and whole.changed > 0,
            "why_not": why_not,
        }
    )


def _tenant_shown(row: ReratedTenant) -> dict[str, Any]:
    return _sums(Sums.of(row.sums)) | {"tenant": row.tenant_id, "override_version": row.override_version}


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "calls": sums.events,
        "changed": sums.changed,
        "cost_before_pico": str(sums.cost_before),
        "cost_after_pico": str(sums.cost_after),
        "charge_before_pico": str(sums.charge_before),
        "charge_after_pico": str(sums.charge_after),
        "difference_pico": str(sums.difference),
        "unpriced_before": sums.unpriced_before,
        "unpriced_after": sums.unpriced_after,
    }
