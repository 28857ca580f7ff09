"""Re-ratings: all of them, a new dry run, and one with what it found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from access.models import User
from access.step_up import step_up_required
from pricing.forms.overrides import provider_ids
from spend.forms import ReratingForm
from spend.models import Rerating
from spend.rerating.actions import (
    OPEN,
    apply_dry_run,
    outdated,
    resume_rerating,
    start_dry_run,
    stop_rerating,
)
from spend.rerating.queries import applied_among, applied_by, found_by, rerating_by_id, reratings, sums_of
from spend.rerating.scope import in_words
from spend.views.live import NOTHING_NEW
from tenants.errors import RefusedError
from tenants.http import TenantRequest
from tenants.models import Tenant
from tenants.permissions import Permission, needs
from wire.display import counted, usd

PER_PAGE = 50
TENANTS_SHOWN = 200
_OFFERED_MOST = 500
STATUS = {  # kind of badge, word
    Rerating.Status.WAITING: ("accent", "Waiting"),
    Rerating.Status.RUNNING: ("accent", "At work"),
    Rerating.Status.DONE: ("ok", "Done"),
    Rerating.Status.STOPPED: ("warn", "Stopped"),
    Rerating.Status.FAILED: ("bad", "Failed"),
}
_BROKEN_OFF = (Rerating.Status.STOPPED, Rerating.Status.FAILED)


@needs(Permission.PRICES_CHANGE)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """All re-ratings, the newest first."""
    page = Paginator(reratings(), PER_PAGE).get_page(request.GET.get("page"))
    jobs = list(page)
    names, applied, sums = _names_of(jobs), applied_among(jobs), sums_of(jobs)
    context = {
        "rows": [
            _shown(job, names, applied=job.pk in applied)
            | {"difference": _signed(sums[job.pk].difference) if job.pk in sums else ""}
            for job in jobs
        ],
        "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
        "next_url": f"?page={page.next_page_number()}" if page.has_next() else "",
        "first_url": "?" if page.has_previous() else "",
    }
    return render(request, "spend/reratings.html", context)


@needs(Permission.PRICES_CHANGE)
def new(request: HttpRequest) -> HttpResponse:
    """The form of a dry run, filled in by the address; sent, it begins."""
    request = cast(TenantRequest, request)
    if request.method != "POST":
        initial = _this_month() | request.GET.dict()
        return render(request, "spend/rerating_new.html", {"form": ReratingForm(initial=initial)} | _offered())
    form = ReratingForm(request.POST)
    if form.is_valid():
        try:
            job = start_dry_run(**form.scope, by=request.actor)
        except RefusedError as error:
            form.add_error(_FIELDS.get(error.field), error.message)
        else:
            return redirect("spend:rerating", job.pk)
    return render(request, "spend/rerating_new.html", {"form": form} | _offered(), status=422)


def _this_month() -> dict[str, str]:
    """What the form says of its own: the days of this month so far, in UTC."""
    today = datetime.now(UTC).date()
    return {"first": today.replace(day=1).isoformat(), "last": today.isoformat()}


def _offered() -> dict[str, list[str]]:
    """Names to choose from; others can be typed."""
    tenants = Tenant.objects.order_by("name").values_list("name", flat=True)[:_OFFERED_MOST]
    return {"tenants": list(tenants), "providers": provider_ids()}


_FIELDS = {"begin": "first", "end": "last", "tenant": "tenant", "provider": "provider", "model": "model"}


@needs(Permission.PRICES_CHANGE)
@require_safe
def one(request: HttpRequest, rerating_id: str) -> HttpResponse:
    """One re-rating; with `seen` only what changes while it is at work, 204 when nothing did."""
    job = _job(rerating_id)
    seen = f"{job.status} {job.turn} {job.total} {job.error}"
    if "seen" not in request.GET:
        return render(request, "spend/rerating.html", _context(job, seen))
    if request.GET["seen"] == seen:
        return HttpResponse(status=NOTHING_NEW)
    return render(request, "spend/_rerating.html", _context(job, seen))


@needs(Permission.PRICES_CHANGE)
@require_POST
@step_up_required(bound=True)
def apply(request: HttpRequest, rerating_id: str) -> HttpResponse:
    """Write what a dry run found: the difference that was confirmed, and no other."""
    request = cast(TenantRequest, request)
    job = _job(rerating_id)
    if request.POST.get("difference") != str(found_by(job).whole.difference):
        messages.error(request, "The difference is another one than you confirmed. Nothing was changed.")
        return redirect("spend:rerating", job.pk)
    try:
        real = apply_dry_run(dry_run=job, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
        return redirect("spend:rerating", job.pk)
    return redirect("spend:rerating", real.pk)


@needs(Permission.PRICES_CHANGE)
@require_POST
def stop(request: HttpRequest, rerating_id: str) -> HttpResponse:
    """Stop a job where it is."""
    return _moved(request, rerating_id, stop_rerating)


@needs(Permission.PRICES_CHANGE)
@require_POST
@step_up_required(bound=True)
def resume(request: HttpRequest, rerating_id: str) -> HttpResponse:
    """Let a job that was broken off go on."""
    return _moved(request, rerating_id, resume_rerating)


def _moved(request: HttpRequest, rerating_id: str, move: Callable[..., Rerating]) -> HttpResponse:
    request = cast(TenantRequest, request)
    job = _job(rerating_id)
    try:
        move(job=job, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    return redirect("spend:rerating", job.pk)


def _job(rerating_id: str) -> Rerating:
    job = rerating_by_id(rerating_id)
    if job is None:
        raise Http404("There is nothing at this address.")
    return job


def _context(job: Rerating, seen: str) -> dict[str, Any]:
    found = found_by(job)
    whole = found.whole
    done = job.status == Rerating.Status.DONE
    why_not = outdated(job) if job.dry and done else ""
    applied = applied_by(job) if job.dry else None
    return _shown(job, _names_of([job]), applied=applied is not None) | {
        "seen": seen,
        "open": job.status in OPEN,
        "broken_off": job.status in _BROKEN_OFF,
        "done": done,
        "whole": whole,
        "difference": _signed(whole.difference),
        "adjusted": _signed(whole.adjusted_charge),
        "charge_note": f"{usd(whole.charge_before)} before, {usd(whole.charge_after)} after",
        "unpriced_note": f"{whole.unpriced_before:,} before",
        "tenants": [
            {"id": tenant, "name": name, "sums": sums, "difference": _signed(sums.difference)}
            for tenant, name, sums in found.tenants[:TENANTS_SHOWN]
        ],
        "more_tenants": max(0, len(found.tenants) - TENANTS_SHOWN),
        "tenants_changed": sum(1 for _, _, sums in found.tenants if sums.changed),
        "applied": applied,
        "why_not": why_not,
        "appliable": job.dry and done and not why_not and whole.changed > 0,
        "again": urlencode(_again(job)),
    }


def _again(job: Rerating) -> dict[str, str]:
    """The form's fields for the same calls once more."""
    last = (job.end - timedelta(milliseconds=1)).astimezone(UTC).date()
    fields = {"tenant": job.tenant_id, "provider": job.provider, "model": job.model}
    fields |= {"first": job.begin.astimezone(UTC).date().isoformat(), "last": last.isoformat()}
    return fields | ({"unpriced_only": "on"} if job.unpriced_only else {})


def _shown(job: Rerating, names: dict[str, str], *, applied: bool) -> dict[str, Any]:
    kind, word = STATUS[Rerating.Status(job.status)]
    if job.dry and job.status == Rerating.Status.DONE and job.changed:
        kind, word = ("ok", "Applied") if applied else ("accent", "Not applied")
    tenant = names.get(job.tenant_id, job.tenant_id) if job.tenant_id else "All tenants"
    return {
        "job": job,
        "tenant": tenant,
        "scope": in_words(job),
        "kind": kind,
        "word": word,
        "what": "Dry run" if job.dry else "Re-rating",
        "by": names.get(job.created_by, job.created_by),
        "progress": f"{job.events:,} of about {counted(job.total, 'call')}" if job.total else "Counting calls",
    }


def _names_of(jobs: list[Rerating]) -> dict[str, str]:
    """The names of the tenants and of the people that jobs mention."""
    tenants = Tenant.objects.filter(pk__in={job.tenant_id for job in jobs})
    people = User.objects.filter(pk__in={job.created_by for job in jobs})
    return dict(tenants.values_list("pk", "name")) | dict(people.values_list("pk", "name"))


def _signed(pico: int) -> str:
    """A difference as people read it, with its sign."""
    return f"{'+' if pico > 0 else '−' if pico < 0 else ''}{usd(abs(pico))}"
