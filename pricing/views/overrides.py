"""Pages of overrides: the list in the order in which they are tried, one of them, its form, history, many at once."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access.step_up import step_up_required
from pricing import figures
from pricing.actions.overrides import archive_override, change_override, create_override, import_overrides
from pricing.forms.overrides import OverrideForm, OverrideListForm, UploadForm, WhichForm, initial_of, provider_ids
from pricing.gates import override_for
from pricing.models import Override, OverrideBook
from pricing.override_lists import COLUMNS, read_list
from pricing.override_names import CatalogueNames
from pricing.override_words import is_pattern, shown, state_of, story, versions
from pricing.queries_overrides import ended_overrides, newest_version, overrides_as_tried
from pricing.which_override import which_override
from tenants.errors import ManyRefusedError, RefusedError, StaleError
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from wire.display import counted

PER_PAGE = 50
SHOWN_MOST = 100  # lines of what is wrong with a list, or of what it would add
MEANT_MOST = 12  # models that a pattern means


@needs(Permission.OVERRIDES_VIEW)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The tenant's overrides as they are tried, or those that have ended; and which one decides for a call."""
    request = cast(TenantRequest, request)
    form = OverrideListForm(request.GET)
    form.is_valid()
    search, ended = form.cleaned_data.get("q", "").strip(), request.GET.get("show") == "ended"
    now = timezone.now()
    rows = ended_overrides(request.tenant.id, now) if ended else overrides_as_tried(request.tenant.id, now)
    page = Paginator(_matching(rows, search), PER_PAGE).get_page(request.GET.get("page"))
    kept = {name: value for name, value in (("q", search), ("show", "ended" if ended else "")) if value}
    context: dict[str, Any] = {
        "form": form,
        "rows": shown(list(page.object_list), now, zone=request.tenant.time_zone),
        "numbered": not ended and not search,
        "before_page": page.start_index() - 1 if page.paginator.count else 0,
        "ended": ended,
        "search": search,
        "any": bool(page.paginator.count) or Override.objects.filter(tenant=request.tenant).exists(),
        "next_url": f"?{urlencode(kept | {'page': page.next_page_number()})}" if page.has_next() else "",
        "first_url": f"?{urlencode(kept)}" if page.has_previous() else "",
        "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
        "version": newest_version(request.tenant.id),
        "providers": provider_ids(),
    }
    return render(request, "pricing/overrides.html", context | _which(request))


def _matching(rows: Any, search: str) -> Any:
    for word in search.split():
        by_name, by_provider, by_model = (
            rows.filter(**{f"{name}__icontains": word}) for name in ("name", "provider", "model")
        )
        rows = by_name | by_provider | by_model
    return rows


def _which(request: TenantRequest) -> dict[str, Any]:
    """The form that asks which override decides for a call, and its answer when it was sent."""
    asked = any(request.GET.get(name) for name in ("provider", "model"))
    form = WhichForm(request.GET if asked else None, tenant=request.tenant)
    if not asked or not form.is_valid():
        return {"which_form": form, "which_asked": asked}
    given = form.cleaned_data
    decision = which_override(
        request.tenant.id,
        provider=given["provider"].strip().lower(),
        model=given["model"].strip(),
        project=given["project"].pk if given["project"] else "",
        at=given["at"],
    )
    return {"which_form": form, "which_asked": True, "decision": decision, "which_at": given["at"]}


@needs(Permission.OVERRIDES_VIEW)
@require_safe
def one(request: HttpRequest, override_id: str) -> HttpResponse:
    """One override: what it says, what was done to it, and its end."""
    request = cast(TenantRequest, request)
    override = override_for(request, override_id)
    (found,) = shown([override], timezone.now(), zone=request.tenant.time_zone)
    context = {
        "override": override,
        "shown": found,
        "price_rows": figures.rows(override.prices),
        "meant": _meant(override),
        "story": story(override, zone=ZoneInfo(request.tenant.time_zone)),
        "may_change": override.status == Override.Status.ACTIVE,
    }
    return render(request, "pricing/override.html", context)


def _meant(override: Override) -> dict[str, Any]:
    if not is_pattern(override) or (override.provider, override.model) == ("*", "*"):
        return {}
    models = [f"{provider}/{model}" for provider, model in CatalogueNames().fitting(override.provider, override.model)]
    return {"number": len(models), "models": models[:MEANT_MOST], "more": max(0, len(models) - MEANT_MOST)}


@needs(Permission.OVERRIDES_CHANGE)
@require_http_methods(["GET", "POST"])
@step_up_required(bound=True)
def new(request: HttpRequest) -> HttpResponse:
    """The form of a new override. A passkey confirms exactly these fields."""
    request = cast(TenantRequest, request)
    form = OverrideForm(request.POST or None, tenant=request.tenant)
    if request.method == "POST" and form.is_valid():
        try:
            made = create_override(tenant=request.tenant, wanted=form.wanted(), by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"“{made.name}” is saved. {_holds_for_calls(made)}")
            return redirect("pricing:override", made.pk)
    return render(request, "pricing/override_new.html", _form_context(form), status=422 if form.errors else 200)


@needs(Permission.OVERRIDES_CHANGE)
@require_http_methods(["GET", "POST"])
@step_up_required(bound=True)
def edit(request: HttpRequest, override_id: str) -> HttpResponse:
    """The form of an override that is there. A passkey confirms exactly these fields."""
    request = cast(TenantRequest, request)
    override = override_for(request, override_id)
    if override.status == Override.Status.ARCHIVED:
        messages.error(request, f"“{override.name}” is archived and cannot be changed: create another override.")
        return redirect("pricing:override", override.pk)
    form = OverrideForm(request.POST or None, tenant=request.tenant, override=override)
    if request.method == "POST" and form.is_valid():
        try:
            done = change_override(
                override=override, wanted=form.wanted(), version=form.cleaned_data["version"], by=request.actor
            )
        except StaleError as error:
            form.reopen(initial_of(override_for(request, override_id), ZoneInfo(request.tenant.time_zone)), error)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"“{done.name}” is saved. {_holds_for_calls(done)}")
            return redirect("pricing:override", done.pk)
    context = _form_context(form) | {"override": override}
    return render(request, "pricing/override_edit.html", context, status=422 if form.errors else 200)


def _form_context(form: OverrideForm) -> dict[str, Any]:
    return {"form": form, "providers": provider_ids()}


def _holds_for_calls(override: Override) -> str:
    state, _ = state_of(override, timezone.now())
    if state == "Scheduled":
        return "It holds for calls from its beginning on."
    if state == "Ended":
        return "It has ended: it holds only for past calls, when they are priced anew."
    return "Gateways charge by it within a second; calls already made keep their charge until they are priced anew."


@needs(Permission.OVERRIDES_CHANGE)
@require_POST
@step_up_required(bound=True)
def archive(request: HttpRequest, override_id: str) -> HttpResponse:
    """End an override now."""
    request = cast(TenantRequest, request)
    override = override_for(request, override_id)
    try:
        archive_override(override=override, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
        return redirect("pricing:override", override.pk)
    messages.success(request, f"“{override.name}” has ended. Calls that were made under it keep its price.")
    return redirect("pricing:overrides")


@needs(Permission.OVERRIDES_VIEW)
@require_safe
def history(request: HttpRequest) -> HttpResponse:
    """Every version of the tenant's overrides: who changed what."""
    request = cast(TenantRequest, request)
    books = OverrideBook.objects.filter(tenant=request.tenant).order_by("-version")
    page = Paginator(books, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "versions": versions(list(page.object_list), zone=ZoneInfo(request.tenant.time_zone)),
        "next_url": f"?{urlencode({'page': page.next_page_number()})}" if page.has_next() else "",
        "first_url": reverse("pricing:override_history") if page.has_previous() else "",
        "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
    }
    return render(request, "pricing/override_history.html", context)


@needs(Permission.OVERRIDES_CHANGE)
@require_http_methods(["GET", "POST"])
@never_cache
def upload(request: HttpRequest) -> HttpResponse:
    """A list of overrides and what it would add. Nothing is changed here."""
    request = cast(TenantRequest, request)
    form = UploadForm(request.POST if request.method == "POST" else None, request.FILES or None)
    context: dict[str, Any] = {}
    if request.method == "POST" and form.is_valid():
        context = _listed(request, form, dry_run=True)
    return _upload_page(request, form, context)


@needs(Permission.OVERRIDES_CHANGE)
@require_POST
@never_cache
@step_up_required(bound=True)
def upload_save(request: HttpRequest) -> HttpResponse:
    """Add all overrides of a list, or none. A passkey confirms exactly this list."""
    request = cast(TenantRequest, request)
    form = UploadForm(request.POST)
    context: dict[str, Any] = {}
    if form.is_valid():
        context = _listed(request, form, dry_run=False)
        if "added" in context:
            messages.success(request, f"{counted(len(context['added']), 'override')} added, as one version.")
            return redirect("pricing:overrides")
    return _upload_page(request, form, context)


def _listed(request: TenantRequest, form: UploadForm, *, dry_run: bool) -> dict[str, Any]:
    """What is wrong with a list, or the overrides that it adds."""
    try:
        rows = import_overrides(
            tenant=request.tenant,
            listed=read_list(form.cleaned_data["text"], zone=ZoneInfo(request.tenant.time_zone), now=timezone.now()),
            dry_run=dry_run,
            by=request.actor,
        )
    except ManyRefusedError as error:
        return {"faults": error.faults[:SHOWN_MOST], "more_faults": max(0, len(error.faults) - SHOWN_MOST)}
    except RefusedError as error:
        form.refuse(error)
        return {}
    return {"added": rows}


def _upload_page(request: TenantRequest, form: UploadForm, context: dict[str, Any]) -> HttpResponse:
    rows = context.get("added", ())
    if rows:
        context |= {
            "shown": shown(rows[:SHOWN_MOST], timezone.now(), zone=request.tenant.time_zone),
            "more": max(0, len(rows) - SHOWN_MOST),
        }
    refused = bool(form.errors) or "faults" in context
    page = {"form": form, "columns": COLUMNS} | context
    return render(request, "pricing/override_upload.html", page, status=422 if refused else 200)
