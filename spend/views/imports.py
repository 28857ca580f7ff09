"""Imports: the history, handing a file in, and one import with what it would bring, its faults and its end."""

from __future__ import annotations

import csv
import io
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from access.models import User
from access.step_up import step_up_required
from spend.exports.formats.comma import guarded
from spend.importing.actions import begin_import, confirm_import, discard_import, is_open, withdraw_import
from spend.importing.adapters import ADAPTERS
from spend.importing.forms import ImportForm
from spend.importing.judging import ERRORS_KEPT, Tally
from spend.importing.queries import Sum, import_by_id, imports, shown_sums
from spend.models import UsageImport
from spend.views.live import NOTHING_NEW, stamp
from spend.zones import moment_of
from tenants.errors import RefusedError
from tenants.http import TenantRequest
from tenants.models import Project
from tenants.permissions import Permission, needs
from tenants.views.posting import post_or_page
from wire.display import count, days, usd

PER_PAGE = 50
ERRORS_SHOWN = 50
SUMS_SHOWN = 100
STATUS = {
    UsageImport.Status.CHECKING: "accent",
    UsageImport.Status.CHECKED: "warn",
    UsageImport.Status.IMPORTING: "accent",
    UsageImport.Status.DONE: "ok",
    UsageImport.Status.WITHDRAWING: "accent",
    UsageImport.Status.WITHDRAWN: "",
    UsageImport.Status.FAILED: "bad",
}
_CONFIRMED = ("new", "changed", "matched", "refused")  # what a confirmation is about


@needs(Permission.SPEND_IMPORT)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """All imports of the tenant, the newest first; with `seen` only the list, 204 when nothing changed."""
    found = Paginator(imports(), PER_PAGE).get_page(request.GET.get("page"))
    rows = list(found)
    seen = stamp([(row.pk, row.status, row.done, row.error) for row in rows])
    if request.GET.get("seen") == seen:
        return HttpResponse(status=NOTHING_NEW)
    people = dict(User.objects.filter(pk__in={row.created_by for row in rows}).values_list("pk", "name"))
    context = {
        "rows": [_shown(row, people) for row in rows],
        "seen": seen,
        "open": any(is_open(row) for row in rows),
        "page": found.number,
        "shown": f"{found.start_index():,} to {found.end_index():,} of {found.paginator.count:,}",
        "next_url": f"?page={found.next_page_number()}" if found.has_next() else "",
        "first_url": "?" if found.has_previous() else "",
    }
    return render(request, "spend/_imports.html" if "seen" in request.GET else "spend/imports.html", context)


@needs(Permission.SPEND_IMPORT)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form; sent, the file is kept and checked. Nothing counts before it is confirmed."""
    request = cast(TenantRequest, request)
    projects = list(
        Project.objects.filter(tenant=request.tenant).order_by("created_at", "pk").values_list("id", "name")
    )
    posted = (request.POST, request.FILES) if request.method == "POST" else (None, None)
    form = ImportForm(*posted, projects=projects, envs=settings.SPENDOPS.environments)
    if request.method != "POST":
        return render(request, "spend/import_new.html", {"form": form})
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            job = begin_import(
                tenant=request.tenant,
                kind=form.cleaned_data["kind"],
                project_id=form.cleaned_data["project"],
                env=form.cleaned_data["env"],
                file_name=file.name,
                pieces=file.chunks(),
                mapping=form.cleaned_data["mapping"],
                by=request.actor,
            )
        except RefusedError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            return redirect("spend:import", job.pk)
    return render(request, "spend/import_new.html", {"form": form}, status=422)


@needs(Permission.SPEND_IMPORT)
@require_safe
def one(request: HttpRequest, import_id: str) -> HttpResponse:
    """One import; with `seen` only what changes while it is at work, 204 when nothing did."""
    job = _job(import_id)
    seen = f"{job.status} {job.done} {job.error}"
    if request.GET.get("seen") == seen:
        return HttpResponse(status=NOTHING_NEW)
    template = "spend/_import.html" if "seen" in request.GET else "spend/import.html"
    return render(request, template, _context(job, seen))


@needs(Permission.SPEND_IMPORT)
@require_safe
def errors(request: HttpRequest, import_id: str) -> HttpResponse:
    """The rows that were refused, as CSV: the first thousand of them."""
    job = _job(import_id)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["line", "place", "what is wrong"])
    writer.writerows([line, path, guarded(why)] for line, path, why in job.errors)
    headers = {"Content-Disposition": f'attachment; filename="import-{job.pk}-refused.csv"'}
    return HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


@needs(Permission.SPEND_IMPORT)
@post_or_page("spend:import", "import_id")
@step_up_required(bound=True)
def confirm(request: HttpRequest, import_id: str) -> HttpResponseBase:
    """Import for real: what the check found and the person saw, and nothing else."""
    request = cast(TenantRequest, request)
    job = _job(import_id)
    if request.POST.get("confirmed") != confirmed(job):
        messages.error(request, "What would come in is something else than you confirmed. Nothing was changed.")
    else:
        try:
            confirm_import(job=job, by=request.actor)
        except RefusedError as error:
            messages.error(request, error.message)
    return redirect("spend:import", job.pk)


@needs(Permission.SPEND_IMPORT)
@post_or_page("spend:import", "import_id")
def discard(request: HttpRequest, import_id: str) -> HttpResponseBase:
    """Forget a file that was only checked."""
    request = cast(TenantRequest, request)
    job = _job(import_id)
    try:
        discard_import(job=job, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    return redirect("spend:import", job.pk)


@needs(Permission.SPEND_IMPORT)
@post_or_page("spend:import", "import_id")
@step_up_required(bound=True)
def withdraw(request: HttpRequest, import_id: str) -> HttpResponseBase:
    """Take back what an import brought."""
    request = cast(TenantRequest, request)
    job = _job(import_id)
    try:
        withdraw_import(job=job, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    return redirect("spend:import", job.pk)


def confirmed(job: UsageImport) -> str:
    """What somebody confirms: the file and what of it comes in."""
    return "/".join([job.digest, *(str(job.counts.get(name, 0)) for name in _CONFIRMED)])


def _job(import_id: str) -> UsageImport:
    job = import_by_id(import_id)
    if job is None:
        raise Http404("There is nothing at this address.")
    return job


def _shown(job: UsageImport, people: dict[str, str]) -> dict[str, Any]:
    return {
        "job": job,
        "kind": STATUS[UsageImport.Status(job.status)],
        "word": job.get_status_display(),
        "what": ADAPTERS[job.kind].label if job.kind in ADAPTERS else job.kind,
        "counts": vars(Tally(**job.counts)),
        "days": _days(job),
        "by": people.get(job.created_by, job.created_by),
    }


def _days(job: UsageImport) -> str:
    if job.begin_ms is None or job.end_ms is None:
        return ""
    return f"{days(moment_of(job.begin_ms).date(), moment_of(job.end_ms).date())} UTC"


def _context(job: UsageImport, seen: str) -> dict[str, Any]:
    people = dict(User.objects.filter(pk=job.created_by).values_list("pk", "name"))
    status, counts = UsageImport.Status(job.status), job.counts or {}
    sums = shown_sums(job)
    shown = _shown(job, people)
    comes = counts.get("new", 0) + counts.get("changed", 0)
    return (
        shown
        | {
            "seen": seen,
            "open": is_open(job),
            "progress": f"{count(job.done)} rows {'checked' if status is UsageImport.Status.CHECKING else 'done'}",
            "checked": status is UsageImport.Status.CHECKED,
            "nothing": status is UsageImport.Status.CHECKED and not comes and not counts.get("matched"),
            "comes": comes,
            "withdrawable": status in (UsageImport.Status.DONE, UsageImport.Status.FAILED) and job.begin_ms is not None,
            "confirmed": confirmed(job),
            "errors": job.errors[:ERRORS_SHOWN],
            "more_errors": max(0, counts.get("refused", 0) - ERRORS_SHOWN),
            "errors_kept": ERRORS_KEPT if counts.get("refused", 0) > ERRORS_KEPT else 0,
            "mapping": sorted((theirs, *pair) for theirs, pair in job.mapping.items()),
            "has_counts": bool(counts),
        }
        | _money(sums)
    )


def _money(sums: list[Sum]) -> dict[str, Any]:
    rows = sorted(sums, key=lambda each: (each.day, -each.cost))
    cost, charge = sum(each.cost for each in sums), sum(each.charge for each in sums)
    return {
        "sums": rows[:SUMS_SHOWN],
        "more_sums": max(0, len(rows) - SUMS_SHOWN),
        "calls": sum(each.calls for each in sums),
        "tokens": sum(each.tokens for each in sums),
        "cost": cost,
        "charge": charge,
        "charge_note": f"charged {usd(charge)}" if charge != cost else "as our prices or the file say",
        "unpriced": sum(each.unpriced for each in sums),
    }
