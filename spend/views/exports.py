"""Exports: the list with its downloads, and the form of a new one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from access.models import User
from spend.clickhouse.errors import TooMuchError, UnavailableError
from spend.exploring.words import Words
from spend.exports.actions import (
    IncompleteError,
    begin_export,
    cancel_export,
    delete_export,
    note_download,
)
from spend.exports.completeness import completeness
from spend.exports.files import file_of, name_for
from spend.exports.formats import KEPT
from spend.exports.forms import ExportForm
from spend.exports.queries import export_by_id, exports, is_open
from spend.exports.reading import wanted_of_page
from spend.exports.wanted import Format, Kind, Wanted, wanted_from, wanted_of
from spend.models import Export
from spend.queries.slices import NotKeptError, Slice
from spend.views.live import NOTHING_NEW, OUT_OF_REACH, stamp, today_of
from tenants.errors import RefusedError
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from tenants.views.posting import post_or_page
from wire.display import counted

PER_PAGE = 50
STATUS = {  # kind of badge, word
    Export.Status.WAITING: ("accent", "Waiting"),
    Export.Status.RUNNING: ("accent", "Being written"),
    Export.Status.DONE: ("ok", "Ready"),
    Export.Status.FAILED: ("bad", "Failed"),
    Export.Status.CANCELLED: ("", "Cancelled"),
    Export.Status.EXPIRED: ("", "Expired"),
}
_PARTIAL = ("warn", "Ready, partial")


@needs(Permission.SPEND_EXPORT)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """All exports of the tenant, the newest first; with `seen` only the list, 204 when nothing changed."""
    found = Paginator(exports(), PER_PAGE).get_page(request.GET.get("page"))
    rows = list(found)
    seen = stamp([(row.pk, row.status, row.rows, row.days_done, row.error) for row in rows])
    if request.GET.get("seen") == seen:
        return HttpResponse(status=NOTHING_NEW)
    people = dict(User.objects.filter(pk__in={row.created_by for row in rows}).values_list("pk", "name"))
    words = Words(cast(TenantRequest, request).tenant.id, seen=None)
    context = {
        "rows": [_shown(row, people, words) for row in rows],
        "seen": seen,
        "open": any(is_open(row) for row in rows),
        "days": settings.EXPORT_DAYS,
        "page": found.number,
        "shown": f"{found.start_index():,} to {found.end_index():,} of {found.paginator.count:,}",
        "next_url": f"?page={found.next_page_number()}" if found.has_next() else "",
        "first_url": "?" if found.has_previous() else "",
    }
    return render(request, "spend/_exports.html" if "seen" in request.GET else "spend/exports.html", context)


@needs(Permission.SPEND_EXPORT)
def new(request: HttpRequest) -> HttpResponse:
    """The form, filled in by the address: a page's own with `of` naming the page, or what an export holds."""
    request = cast(TenantRequest, request)
    try:
        of = _asked(request)
    except RefusedError as error:
        messages.error(request, error.message)
        return redirect("spend:export_new")
    words = Words(request.tenant.id, seen=None)
    form = ExportForm(request.POST if request.method == "POST" else None, of=of)
    context: dict[str, Any] = {
        "form": form,
        "of": of,
        "zone": of.slice.zone,
        "query": _address(of),
        "filters": _filters(of, words),
    }
    if request.method != "POST":
        try:
            context["reasons"] = completeness(request.tenant.id, of).reasons
        except NotKeptError as error:
            context["reasons"] = (str(error),)
        except (UnavailableError, TooMuchError):
            context["reasons"] = ()
        return render(request, "spend/export_new.html", context)
    if form.is_valid():
        answer = _begun(request, form, context)
        if answer is not None:
            return answer
    return render(request, "spend/export_new.html", context, status=422)


def _begun(request: TenantRequest, form: ExportForm, context: dict[str, Any]) -> HttpResponse | None:
    """Ask for the file; None when the form has to be shown again, with what is wrong."""
    try:
        begin_export(
            tenant=request.tenant,
            wanted=form.wanted(),
            written=form.cleaned_data["format"],
            require_complete=not form.cleaned_data["partial"],
            by=request.actor,
        )
    except IncompleteError as error:
        context["reasons"] = error.reasons
        form.add_error("partial", "Confirm that a partial file will do, or choose days that are complete.")
    except RefusedError as error:
        form.add_error(error.field if error.field in form.fields else None, error.message)
    except TooMuchError as error:
        form.add_error(None, f"{error} Choose fewer days.")
    except UnavailableError:
        context["unavailable"] = True
        return render(request, "spend/export_new.html", context, status=OUT_OF_REACH)
    else:
        return redirect("spend:exports")
    return None


@needs(Permission.SPEND_EXPORT)
@require_safe
def file(request: HttpRequest, export_id: str) -> HttpResponseBase:
    """The file. That somebody took it is written down."""
    return file_response(cast(TenantRequest, request), _export(export_id))


@needs(Permission.SPEND_EXPORT)
@require_safe
def manifest(request: HttpRequest, export_id: str) -> HttpResponse:
    """What the file says of itself, with its checksum: a file beside it."""
    return manifest_response(cast(TenantRequest, request), _export(export_id))


def file_response(request: TenantRequest, export: Export) -> HttpResponseBase:
    """An export's file as an answer. Raises Http404 when there is none."""
    path = file_of(export) if export.status == Export.Status.DONE else None
    if path is None:
        raise Http404("There is nothing at this address.")
    if request.method == "GET":
        note_download(export=export, by=request.actor)
    kept = KEPT[Format(export.format)]
    response = FileResponse(
        path.open("rb"), as_attachment=True, filename=_name(request, export), content_type=kept.content_type
    )
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-SHA256"] = export.sha256
    return response


def manifest_response(request: TenantRequest, export: Export) -> HttpResponse:
    """An export's manifest as an answer. Raises Http404 when there is none."""
    if not export.manifest:
        raise Http404("There is nothing at this address.")
    name = _name(request, export)
    text = json.dumps(export.manifest | {"file": name}, ensure_ascii=False, indent=2)
    response = HttpResponse(text + "\n", content_type="application/json; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.json"'
    response.headers["Cache-Control"] = "private, no-store"
    return response


@needs(Permission.SPEND_EXPORT)
@post_or_page("spend:exports")
def cancel(request: HttpRequest, export_id: str) -> HttpResponse:
    """Stop an export."""
    return _moved(request, export_id, cancel_export)


@needs(Permission.SPEND_EXPORT)
@post_or_page("spend:exports")
def delete(request: HttpRequest, export_id: str) -> HttpResponse:
    """Delete an export and its file."""
    return _moved(request, export_id, delete_export)


def _moved(request: HttpRequest, export_id: str, move: Callable[..., Any]) -> HttpResponse:
    try:
        move(export=_export(export_id), by=cast(TenantRequest, request).actor)
    except RefusedError as error:
        messages.error(request, error.message)
    return redirect("spend:exports")


def _export(export_id: str) -> Export:
    found = export_by_id(export_id)
    if found is None:
        raise Http404("There is nothing at this address.")
    return found


def _asked(request: TenantRequest) -> Wanted:
    """What the address says is to be exported; the month to date by model when it says nothing."""
    query: QueryDict = request.GET.copy()
    page_name, kind = query.pop("of", [""])[-1], query.pop("kind", [""])[-1]
    if page_name:
        return wanted_of_page(page_name, query, request.tenant).in_zone(request.tenant.time_zone)
    if "first" not in query:
        today = today_of(request.tenant)
        of = Slice(today.replace(day=1), today, zone=request.tenant.time_zone)
        return Wanted(Kind.SPEND, of, ("model",))
    pairs = [(name, value) for name, values in query.lists() for value in values]
    of_kind = Kind(kind) if kind in Kind.values else Kind.SPEND
    return wanted_from(of_kind, pairs).in_zone(request.tenant.time_zone)


def _address(of: Wanted) -> str:
    """The form's own query, in which the days are spelt out: what was seen is what is sent."""
    return f"{urlencode({'kind': of.kind.value})}&{of.query}"


def _filters(of: Wanted, words: Words) -> list[str]:
    """What it is narrowed by, by names."""
    for chosen in (of.slice.only, of.slice.without):
        words.learn("key", chosen.get("key", ()))
    return of.filters_with(words.of)


def _name(request: TenantRequest, export: Export) -> str:
    said = export.manifest
    return name_for(export, tenant_name=request.tenant.name, first=said["first_day"], last=said["last_day"])


def _shown(row: Export, people: dict[str, str], words: Words) -> dict[str, Any]:
    wanted = _wanted(row)
    kind, word = STATUS[Export.Status(row.status)]
    if row.status == Export.Status.DONE and row.partial:
        kind, word = _PARTIAL
    again = f"{reverse('spend:export_new')}?{_address(wanted)}" if wanted is not None else ""
    done, of = (row.rows, row.total) if row.total else (row.days_done, row.days)
    return {
        "export": row,
        "what": wanted.title if wanted else row.get_kind_display(),
        "days": wanted.days if wanted else "",
        "zone": wanted.slice.zone if wanted else "",
        "filters": _filters(wanted, words) if wanted else [],
        "format": row.get_format_display(),
        "kind": kind,
        "word": word,
        "open": is_open(row),
        "ready": row.status == Export.Status.DONE and (row.expires_at is None or row.expires_at > timezone.now()),
        "done": done,
        "of": max(of or 0, 1),
        "progress": f"{counted(row.rows, 'row')}, {row.days_done} of {counted(row.days, 'day')}",
        "size": _size(row.bytes),
        "by": people.get(row.created_by, row.created_by),
        "again": again,
    }


def _wanted(row: Export) -> Wanted | None:
    """What it holds; None when a later version reads its query no more."""
    try:
        return wanted_of(row.kind, row.query)
    except RefusedError:
        return None


def _size(size: int) -> str:
    """A file's size as people read it."""
    amount, units = size * 10, ["bytes", "KB", "MB", "GB"]
    while amount >= 10_000 and len(units) > 1:
        amount, units = amount // 1000, units[1:]
    return f"{size:,} bytes" if units[0] == "bytes" else f"{amount // 10:,}.{amount % 10} {units[0]}"
