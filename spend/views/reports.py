"""Scheduled reports: the list, one with its history, its form, a sending as its receivers see it, and unsubscribing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from csp.constants import SELF
from csp.decorators import csp, csp_update
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access.gates import public
from access.limits import Limit, Limits, limited
from spend.clickhouse.errors import ClickHouseError, UnavailableError
from spend.models import Report, ReportMail, ReportSending
from spend.queries.dimensions import label_of
from spend.queries.freshness import freshness
from spend.queries.slices import Slice
from spend.queries.tags import tags_used
from spend.reports.actions import (
    Wanted,
    change_report,
    delete_report,
    pause_report,
    resume_report,
    schedule_report,
    send_again,
    subscribe,
    try_report,
    unsubscribe,
    wanted_of,
)
from spend.reports.forms import ReportForm, initial_of
from spend.reports.mail import recipient_of, rendered, unsubscribe_url
from spend.reports.queries import (
    people_of,
    people_who_may,
    recent_sendings,
    report_by_id,
    reports_of,
    sending_by_id,
    sendings_of,
    times_of,
)
from spend.reports.rules import in_words
from spend.views.live import NOTHING_NEW, stamp, today_of
from tenants.errors import RefusedError
from tenants.http import TenantRequest
from tenants.mailing import PREVIEW_POLICY
from tenants.permissions import Permission, needs
from tenants.scope import tenant_scope
from tenants.views.posting import post_or_page

PER_PAGE = 25
LETTERS = 20
UNSUBSCRIBING = Limits("unsubscribe", address=Limit(120, 60), session=Limit(30, 60))
_TAGS_OF = timedelta(days=30)
STATUS: dict[str, str] = {  # of a report, a sending or a mail -> the kind of its badge
    Report.Status.ACTIVE: "ok",
    Report.Status.PAUSED: "warn",
    ReportSending.Status.WAITING: "accent",
    ReportSending.Status.SENDING: "accent",
    ReportSending.Status.SENT: "ok",
    ReportSending.Status.FAILED: "bad",
    ReportSending.Status.CANCELLED: "",
    ReportMail.Status.DEAD: "bad",
    ReportMail.Status.LEFT_OUT: "",
}


@needs(Permission.SPEND_EXPORT)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The tenant's reports."""
    request = cast(TenantRequest, request)
    rows = [_shown(report) for report in reports_of(request.tenant)]
    return render(request, "spend/reports.html", {"rows": rows} | _freshness(request))


@needs(Permission.SPEND_EXPORT)
@require_safe
def one(request: HttpRequest, report_id: str) -> HttpResponse:
    """A report, who gets it, and what became of each sending."""
    request = cast(TenantRequest, request)
    report = _report(request, report_id)
    shown = Paginator(sendings_of(report), PER_PAGE).get_page(request.GET.get("page"))
    rows: list[Any] = list(shown)
    seen = stamp([(row.pk, row.status, row.held, row.went, row.people) for row in rows], shown.number)
    if request.GET.get("seen") == seen:
        return HttpResponse(status=NOTHING_NEW)
    people = people_of(report)
    own = next((each for each in people if each.id == request.user.pk), None)
    context = _shown(report) | {
        "people": people,
        "unsubscribed": own is not None and not own.subscribed,
        "sendings": [_sending(row) for row in rows],
        "seen": seen,
        "page": shown,
        "shown": f"{shown.start_index():,} to {shown.end_index():,} of {shown.paginator.count:,}",
        "next_url": f"?page={shown.next_page_number()}" if shown.has_next() else "",
        "first_url": "?" if shown.has_previous() else "",
    }
    template = "spend/_report_sendings.html" if "seen" in request.GET else "spend/report.html"
    return render(request, template, context | _freshness(request))


@needs(Permission.SPEND_EXPORT)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form of a new report. Whoever makes it is on its list, unless they say otherwise."""
    request = cast(TenantRequest, request)
    form = _form(request, initial=initial_of(Wanted(name="", people=[request.user.pk])))
    if request.method == "POST" and form.is_valid():
        try:
            made = schedule_report(tenant=request.tenant, wanted=form.wanted, by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"“{made.name}” is scheduled. Send yourself a test to see what it says.")
            return redirect("spend:report", made.pk)
    return render(request, "spend/report_edit.html", {"form": form}, status=422 if form.errors else 200)


@needs(Permission.SPEND_EXPORT)
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, report_id: str) -> HttpResponse:
    """The form of a report that is there."""
    request = cast(TenantRequest, request)
    report = _report(request, report_id)
    form = _form(request, initial=initial_of(wanted_of(report)), report=report)
    if request.method == "POST" and form.is_valid():
        try:
            change_report(report=report, wanted=form.wanted, by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, "The report is changed.")
            return redirect("spend:report", report.pk)
    context = {"form": form, "report": report}
    return render(request, "spend/report_edit.html", context, status=422 if form.errors else 200)


def _form(request: TenantRequest, *, initial: dict[str, Any], report: Report | None = None) -> ReportForm:
    today = today_of(request.tenant)
    try:
        tags = tags_used(request.tenant.id, Slice(today - _TAGS_OF, today))
    except ClickHouseError:
        tags = []  # the dimensions are there all the same
    return ReportForm(
        request.POST or None,
        zone=request.tenant.time_zone,
        members=people_who_may(request.tenant),
        listed=people_of(report) if report else (),
        tags=tags,
        initial=initial,
    )


@needs(Permission.SPEND_EXPORT)
@post_or_page("spend:report", "report_id")
def test(request: HttpRequest, report_id: str) -> HttpResponse:
    """Send the report now, to whoever asks."""
    return _done(request, report_id, try_report, "The test goes out to you within seconds.")


@needs(Permission.SPEND_EXPORT)
@post_or_page("spend:report", "report_id")
def pause(request: HttpRequest, report_id: str) -> HttpResponse:
    """Nothing of it goes out any more."""
    return _done(request, report_id, pause_report, "The report is paused: nothing of it goes out.")


@needs(Permission.SPEND_EXPORT)
@post_or_page("spend:report", "report_id")
def resume(request: HttpRequest, report_id: str) -> HttpResponse:
    """It goes out again."""
    return _done(request, report_id, resume_report, "The report goes out again from its next moment on.")


@needs(Permission.SPEND_EXPORT)
@post_or_page("spend:report", "report_id")
def subscribe_again(request: HttpRequest, report_id: str) -> HttpResponse:
    """Whoever had unsubscribed wants it again."""
    return _done(request, report_id, subscribe, "You get this report again.")


@needs(Permission.SPEND_EXPORT)
@post_or_page("spend:report", "report_id")
def delete(request: HttpRequest, report_id: str) -> HttpResponse:
    """It never goes out again."""
    request = cast(TenantRequest, request)
    report = _report(request, report_id)
    try:
        delete_report(report=report, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"“{report.name}” is deleted: it does not go out any more.")
    return redirect("spend:reports")


def _done(request: HttpRequest, report_id: str, action: Any, said: str) -> HttpResponse:
    request = cast(TenantRequest, request)
    report = _report(request, report_id)
    try:
        action(report=report, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, said)
    return redirect("spend:report", report.pk)


@needs(Permission.SPEND_EXPORT)
@require_safe
@csp_update({"frame-src": [SELF]})  # type: ignore[arg-type]  # its types know only views without arguments
def sending(request: HttpRequest, sending_id: str) -> HttpResponse:
    """What a sending said, and whether it arrived with each."""
    request = cast(TenantRequest, request)
    found = _found(request, sending_id)
    mails = ReportMail.objects.filter(sending=found).select_related("user").order_by("address", "pk")
    context = _sending(found) | {
        "report": found.report,
        "mails": [{"mail": mail, "kind": STATUS[mail.status]} for mail in mails],
        "kept_here": any(mail.kept_here for mail in mails),
        "text": rendered(found)[0] if found.content else "",
        "again": found.status == ReportSending.Status.FAILED and found.report.status != Report.Status.DELETED,
        "deleted": found.report.status == Report.Status.DELETED,
    }
    return render(request, "spend/report_sending.html", context)


@needs(Permission.SPEND_EXPORT)
@require_safe
@xframe_options_sameorigin
@csp(PREVIEW_POLICY)  # type: ignore[arg-type]
def mail_html(request: HttpRequest, sending_id: str) -> HttpResponse:
    """The HTML part of a sending's mail. Its link to unsubscribe is that of whoever looks, if they get it."""
    request = cast(TenantRequest, request)
    found = _found(request, sending_id)
    if not found.content:
        raise Http404("This report is not written yet.")
    own = found.report.recipients.filter(user_id=request.user.pk).first()
    return HttpResponse(rendered(found, unsubscribe=unsubscribe_url(own) if own else "")[1])


@needs(Permission.SPEND_EXPORT)
@require_POST
def again(request: HttpRequest, sending_id: str) -> HttpResponse:
    """Send what did not arrive once more."""
    request = cast(TenantRequest, request)
    found = _found(request, sending_id)
    try:
        send_again(sending=found, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "It is sent again within seconds.")
    return redirect("spend:report_sending", found.pk)


@needs(Permission.SPEND_EXPORT)
@require_safe
def letters(request: HttpRequest) -> HttpResponse:
    """The last sendings of all reports, for the page of messages."""
    rows = [_sending(row) for row in recent_sendings(cast(TenantRequest, request).tenant)[:LETTERS]]
    return render(request, "spend/_report_letters.html", {"sendings": rows})


@public
@csrf_exempt  # mail programs post here (RFC 8058); the signed link shows whose wish it is
@limited(UNSUBSCRIBING)
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe_page(request: HttpRequest, token: str) -> HttpResponse:
    """Ask by GET, as programs that look at links open them too; unsubscribe by POST. Nobody needs to be signed in."""
    recipient = recipient_of(token)
    if recipient is None:
        return render(request, "spend/report_unsubscribe.html", {"unknown": True}, status=404)
    if request.method == "POST":
        with tenant_scope(recipient.tenant_id):
            unsubscribe(recipient=recipient)
    done = request.method == "POST" or recipient.unsubscribed_at is not None
    return render(request, "spend/report_unsubscribe.html", {"recipient": recipient, "done": done})


def _report(request: TenantRequest, report_id: str) -> Report:
    found = report_by_id(request.tenant, report_id)
    if found is None:
        raise Http404("There is nothing at this address.")
    return found


def _found(request: TenantRequest, sending_id: str) -> ReportSending:
    found = sending_by_id(request.tenant, sending_id)
    if found is None:
        raise Http404("There is nothing at this address.")
    return found


def _shown(report: Report) -> dict[str, Any]:
    return {
        "report": report,
        "kind": STATUS[report.status],
        "times": in_words(times_of(report)),
        "grouped": label_of(report.group_by),
    }


def _sending(row: Any) -> dict[str, Any]:
    return {"sending": row, "kind": STATUS[row.status], "url": reverse("spend:report_sending", args=[row.pk])}


def _freshness(request: TenantRequest) -> dict[str, Any]:
    try:
        return {"fresh": freshness(request.tenant.id), "period": True}
    except UnavailableError:
        return {"unavailable": True}
