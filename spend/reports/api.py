"""Scheduled reports: the list, one, its sendings, and everything that a person may do with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any, Literal, cast

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Field, Path, Query, Router, Schema, Status
from pydantic import ConfigDict

from spend.models import Report, ReportSending
from spend.reports.actions import (
    PEOPLE_MOST,
    Wanted,
    change_report,
    delete_report,
    pause_report,
    resume_report,
    schedule_report,
    try_report,
    wanted_of,
)
from spend.reports.queries import people_of, report_by_id, sendings_of
from spend.reports.rules import WAIT_MOST
from tenants.frame.idempotency import idempotent
from tenants.frame.operations import created, operation
from tenants.frame.paging import Page, Paging, page_of
from tenants.http import TenantRequest
from tenants.models import Tenant
from tenants.permissions import Permission

reports = Router(tags=["Reports"])

ReportId = Annotated[str, Path(pattern=r"^rp_[0-9a-z]{1,29}$", description="The report's id.")]
Cadence = Literal["daily", "weekly", "monthly"]


class RecipientOut(Schema):
    """A person on a report's list."""

    id: str = Field(examples=["u_5n0q2d8s6w1f"])
    name: str = Field(examples=["Asha Rao"])
    subscribed: bool = Field(description="False: they unsubscribed by the link in the mail.", examples=[True])
    may_see: bool = Field(
        description="False: no longer a member who sees all spend, so that nothing goes to them.", examples=[True]
    )


class ReportOut(Schema):
    """A summary of spend that goes out by mail on a schedule."""

    id: str = Field(examples=["rp_4k2m9x0c1v7b"])
    name: str = Field(examples=["Weekly spend"])
    group_by: str = Field(examples=["model"])
    cadence: Cadence
    weekday: int = Field(description="Of a weekly one; 0 is Monday.", examples=[0])
    month_day: int = Field(description="Of a monthly one; in a shorter month its last day.", examples=[1])
    hour: int = Field(description="In the tenant's time zone.", examples=[8])
    file: Literal["", "csv", "xlsx"] = Field(description="The format of the attached file.", examples=["csv"])
    wait_hours: int = Field(description="So long it waits for a period that is not complete.", examples=[6])
    recipients: list[RecipientOut]
    status: Literal["active", "paused"]
    next_at: datetime | None = Field(description="null while it is paused.")


class ReportIn(Schema):
    """What a report is to be."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=120, examples=["Weekly spend"])
    group_by: str = Field("model", max_length=80, description="A dimension, or tag:<name>.", examples=["project"])
    cadence: Cadence = "weekly"
    weekday: int = Field(0, ge=0, le=6, examples=[0])
    month_day: int = Field(1, ge=1, le=31, examples=[1])
    hour: int = Field(8, ge=0, le=23, examples=[8])
    file: Literal["", "csv", "xlsx"] = Field("", examples=["csv"])
    wait_hours: int = Field(6, ge=0, le=WAIT_MOST, examples=[6])
    recipients: list[str] = Field(
        min_length=1,
        max_length=PEOPLE_MOST,
        description="Ids of members whose role sees all of the tenant's spend.",
        examples=[["u_5n0q2d8s6w1f"]],
    )


class ReportChange(Schema):
    """What is to be different; the rest stays."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("", max_length=120, examples=["Weekly spend"])
    group_by: str = Field("", max_length=80, examples=["project"])
    cadence: Cadence = "weekly"
    weekday: int = Field(0, ge=0, le=6, examples=[0])
    month_day: int = Field(1, ge=1, le=31, examples=[1])
    hour: int = Field(8, ge=0, le=23, examples=[8])
    file: Literal["", "csv", "xlsx"] = Field("", examples=["csv"])
    wait_hours: int = Field(6, ge=0, le=WAIT_MOST, examples=[6])
    recipients: list[str] = Field([], max_length=PEOPLE_MOST, examples=[["u_5n0q2d8s6w1f"]])


class SendingOut(Schema):
    """One sending of a report."""

    id: str = Field(examples=["rs_4k2m9x0c1v7b"])
    kind: Literal["scheduled", "test"]
    due: datetime
    first: date = Field(description="Of the days that it covers.")
    last: date
    status: Literal["waiting", "sending", "sent", "failed", "cancelled"]
    held: str = Field(description="Why it waits, or why it failed.", examples=[""])
    subject: str = Field(examples=["Weekly spend: $1,204.10, 9–15 Nov 2026"])
    partial: list[str] = Field(description="Why the period was not complete; empty: it was.", examples=[[]])
    mails: int = Field(examples=[3])
    sent: int = Field(description="How many of the mails the mail server took.", examples=[3])


@operation(reports, "GET", "", Permission.SPEND_EXPORT, answers={200: Page[ReportOut]}, summary="Scheduled reports")
def list_reports(request: HttpRequest, paging: Query[Paging]) -> Any:
    """The tenant's reports, the newest first."""
    tenant = cast(TenantRequest, request).tenant
    rows = Report.objects.filter(tenant=tenant).exclude(status=Report.Status.DELETED).select_related("tenant")
    return page_of(rows, paging, _shown, newest_by=("created_at", "id"), salt="reports")


@operation(
    reports,
    "POST",
    "",
    Permission.SPEND_EXPORT,
    answers={201: ReportOut},
    creates=True,
    summary="Schedule a report",
)
@idempotent
def create_report(request: HttpRequest, payload: ReportIn) -> HttpResponse:
    """It goes out from its next due moment on."""
    known = cast(TenantRequest, request)
    given = payload.dict()
    wanted = Wanted(**{name: value for name, value in given.items() if name != "recipients"}, people=payload.recipients)
    made = schedule_report(tenant=known.tenant, wanted=wanted, by=known.actor)
    return created(ReportOut.model_validate(_shown(made)))


@operation(
    reports, "GET", "/{report_id}", Permission.SPEND_EXPORT, answers={200: ReportOut}, summary="One scheduled report"
)
def get_report(request: HttpRequest, report_id: ReportId) -> Any:
    """With its recipients."""
    return _shown(_report(request, report_id))


@operation(
    reports,
    "PATCH",
    "/{report_id}",
    Permission.SPEND_EXPORT,
    answers={200: ReportOut},
    conflicts=True,
    summary="Change a scheduled report",
)
def patch_report(request: HttpRequest, report_id: ReportId, payload: ReportChange) -> Any:
    """What is left out stays. Whoever unsubscribed stays so, also when they are listed again."""
    report = _report(request, report_id)
    given = payload.dict(exclude_unset=True)
    if "recipients" in given:
        given["people"] = given.pop("recipients")
    wanted = replace(wanted_of(report), **given)
    return _shown(change_report(report=report, wanted=wanted, by=cast(TenantRequest, request).actor))


@operation(
    reports,
    "GET",
    "/{report_id}/sendings",
    Permission.SPEND_EXPORT,
    answers={200: Page[SendingOut]},
    summary="What was sent of a report",
)
def list_report_sendings(request: HttpRequest, report_id: ReportId, paging: Query[Paging]) -> Any:
    """The newest first, tests included."""
    rows = sendings_of(_report(request, report_id))
    return page_of(rows, paging, _sending, newest_by=("due", "id"), salt="report sendings")


@operation(
    reports,
    "POST",
    "/{report_id}/test",
    Permission.SPEND_EXPORT,
    answers={200: ReportOut},
    people_only=True,
    conflicts=True,
    summary="Send a report now, to oneself",
)
def test_report(request: HttpRequest, report_id: ReportId) -> Any:
    """It goes to the person who asks and to nobody else, within seconds."""
    report = _report(request, report_id)
    try_report(report=report, by=cast(TenantRequest, request).actor)
    return _shown(report)


@operation(
    reports,
    "POST",
    "/{report_id}/pause",
    Permission.SPEND_EXPORT,
    answers={200: ReportOut},
    conflicts=True,
    summary="Pause a report",
)
def pause(request: HttpRequest, report_id: ReportId) -> Any:
    """Nothing of it goes out any more; what is on its way is cancelled."""
    return _shown(pause_report(report=_report(request, report_id), by=cast(TenantRequest, request).actor))


@operation(
    reports,
    "POST",
    "/{report_id}/resume",
    Permission.SPEND_EXPORT,
    answers={200: ReportOut},
    conflicts=True,
    summary="Resume a report",
)
def resume(request: HttpRequest, report_id: ReportId) -> Any:
    """What was due while it was paused is not made up for."""
    return _shown(resume_report(report=_report(request, report_id), by=cast(TenantRequest, request).actor))


@operation(
    reports,
    "DELETE",
    "/{report_id}",
    Permission.SPEND_EXPORT,
    answers={204: None},
    conflicts=True,
    summary="Delete a report",
)
def delete(request: HttpRequest, report_id: ReportId) -> Any:
    """It does not go out any more; what is on its way is cancelled."""
    delete_report(report=_report(request, report_id), by=cast(TenantRequest, request).actor)
    return Status(204, None)


def _report(request: HttpRequest, report_id: str) -> Report:
    tenant: Tenant = cast(TenantRequest, request).tenant
    found = report_by_id(tenant, report_id)
    if found is None:
        raise Http404("There is nothing at this address.")
    return found


def _shown(report: Report) -> dict[str, Any]:
    wanted = wanted_of(report)
    plain = ("name", "group_by", "cadence", "weekday", "month_day", "hour", "file", "wait_hours")
    return {name: getattr(wanted, name) for name in plain} | {
        "id": report.pk,
        "recipients": [
            {"id": each.id, "name": each.name, "subscribed": each.subscribed, "may_see": each.may_see}
            for each in people_of(report)
        ],
        "status": report.status,
        "next_at": report.next_at,
    }


def _sending(row: ReportSending) -> dict[str, Any]:
    plain = ("kind", "due", "first", "last", "status", "held", "subject", "partial")
    counts: Any = row  # annotated by `sendings_of`
    return {"id": row.pk, "mails": counts.people, "sent": counts.went} | {name: getattr(row, name) for name in plain}
