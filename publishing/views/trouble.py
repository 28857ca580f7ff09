"""What is wrong, and what a person may do about it."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from access.step_up import step_up_required
from changes.models import OutboxRow
from publishing.actions import retry
from publishing.actions.reconcile import confirm_publish, confirm_reconciliation
from publishing.errors import NotHeldError
from publishing.models import KvEntry, Reconciliation
from publishing.queries.health import health
from publishing.queries.looks import explained
from publishing.queries.trouble import entries_for, parked_entries, trouble
from publishing.subjects import shortened
from publishing.views.seen import naming_scope, seen_by
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from tenants.views.posting import post_or_page
from wire.display import counted

_NOT_THERE = "There is nothing at this address."


@needs(Permission.PUBLISHING_VIEW)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """What a store refused, what it did not take, what cannot be rendered, what is held back."""
    request = cast(TenantRequest, request)
    entries = entries_for(request.tenant.id, all_tenants=request.platform_admin)
    with naming_scope(request):
        environments = health(settings.SPENDOPS.environments, seen_by=seen_by(request))
        found = trouble(entries, environments, with_objects=request.platform_admin)
        context = {
            "trouble": found,
            "environments": environments,
            "held_looks": explained(found.held_looks if request.platform_admin else []),
        }
    return render(request, "publishing/_trouble.html" if request.htmx else "publishing/trouble.html", context)


@needs(Permission.PUBLISHING_RETRY)
@post_or_page("publishing:trouble")
@step_up_required
def retry_entry(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Send a document again now."""
    request = cast(TenantRequest, request)
    entry = _entry(request, entry_id)
    retry.retry_entry(entry=entry, by=request.actor)
    messages.success(request, f"{shortened(entry.key)} is sent again.")
    return redirect("publishing:trouble")


@needs(Permission.PUBLISHING_RETRY)
@post_or_page("publishing:trouble")
@step_up_required
def retry_parked(request: HttpRequest) -> HttpResponse:
    """Send all parked documents again now, as far as the person sees them."""
    request = cast(TenantRequest, request)
    entries = parked_entries(entries_for(request.tenant.id, all_tenants=request.platform_admin))
    tenant = "" if request.platform_admin else request.tenant.id
    number = retry.retry_parked(entries=entries, tenant=tenant, by=request.actor)
    if number:
        messages.success(request, f"{counted(number, 'document')} sent again.")
    else:
        messages.info(request, "Nothing is parked any more.")
    return redirect("publishing:trouble")


@needs(Permission.PUBLISHING_REPAIR)
@post_or_page("publishing:trouble")
@step_up_required
def retry_object(request: HttpRequest, row_id: int) -> HttpResponse:
    """Render a changed object again now. Only a platform admin sees these: they may concern any tenant."""
    request = cast(TenantRequest, request)
    row = OutboxRow.objects.filter(pk=row_id).exclude(error="").first() if request.platform_admin else None
    if row is None:
        raise Http404(_NOT_THERE)
    retry.retry_object(row=row, by=request.actor)
    messages.success(request, f"{row.topic} {row.object_id} is rendered again.")
    return redirect("publishing:trouble")


@needs(Permission.PUBLISHING_REPAIR)
@post_or_page("publishing:trouble")
@step_up_required(bound=True)
def confirm_entry(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Publish what a guard holds back: exactly what was shown, which the code in the form names."""
    request = cast(TenantRequest, request)
    entry = _entry(request, entry_id)
    try:
        confirm_publish(env=entry.env, code=request.POST.get("code", ""), by=request.actor)
        messages.success(request, f"{shortened(entry.key)} is published.")
    except NotHeldError as error:
        messages.error(request, str(error))
    return redirect("publishing:trouble")


@needs(Permission.PUBLISHING_REPAIR)
@post_or_page("publishing:trouble")
@step_up_required(bound=True)
def confirm_repair(request: HttpRequest, reconciliation_id: int) -> HttpResponse:
    """Let a held repair happen: exactly the one that was shown."""
    request = cast(TenantRequest, request)
    row = Reconciliation.objects.filter(pk=reconciliation_id).first() if request.platform_admin else None
    if row is None:
        raise Http404(_NOT_THERE)
    try:
        confirm_reconciliation(reconciliation=row, by=request.actor)
        messages.success(request, f"{row.env} {row.store} is repaired within the minute, if nothing else has changed.")
    except NotHeldError as error:
        messages.error(request, str(error))
    return redirect("publishing:trouble")


def _entry(request: TenantRequest, entry_id: int) -> KvEntry:
    entry = entries_for(request.tenant.id, all_tenants=request.platform_admin).filter(pk=entry_id).first()
    if entry is None:
        raise Http404(_NOT_THERE)
    return entry
