"""The KV ledger: what the gateways know, how far that is behind, and what failed."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from access.step_up import step_up_required
from changes.models import OutboxRow
from publishing import queries
from publishing.actions import retry
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs


@needs(Permission.PUBLISHING_VIEW)
@require_safe
def ledger(request: HttpRequest) -> HttpResponse:
    """Lag by environment, recent writes, and what fails. Asked by htmx, only the part that changes."""
    request = cast(TenantRequest, request)
    entries = queries.entries_for(request.tenant.id, all_tenants=request.platform_admin)
    context = {
        "lags": [queries.lag_of(env) for env in settings.SPENDOPS.environments],
        "failing": queries.failing_writes(entries),
        "failing_objects": queries.failing_objects() if request.platform_admin else [],
        "writes": queries.recent_writes(entries),
    }
    return render(request, "publishing/_ledger.html" if request.htmx else "publishing/ledger.html", context)


@needs(Permission.PUBLISHING_RETRY)
@require_POST
@step_up_required
def retry_entry(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Send a document again now."""
    request = cast(TenantRequest, request)
    entries = queries.entries_for(request.tenant.id, all_tenants=request.platform_admin)
    entry = entries.filter(pk=entry_id).first()
    if entry is None:
        raise Http404("There is nothing at this address.")
    retry.retry_entry(entry=entry, by=request.actor)
    messages.success(request, f"{entry.key} is sent again.")
    return redirect("publishing:ledger")


@needs(Permission.PUBLISHING_REPAIR)
@require_POST
@step_up_required
def retry_object(request: HttpRequest, row_id: int) -> HttpResponse:
    """Render a changed object again now. Only a platform admin sees these: they may concern any tenant."""
    request = cast(TenantRequest, request)
    row = OutboxRow.objects.filter(pk=row_id).exclude(error="").first() if request.platform_admin else None
    if row is None:
        raise Http404("There is nothing at this address.")
    retry.retry_object(row=row, by=request.actor)
    messages.success(request, f"{row.topic} {row.object_id} is rendered again.")
    return redirect("publishing:ledger")
