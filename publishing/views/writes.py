"""Every write: what, who and why, when, and what became of it."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from publishing.forms import WritesForm
from publishing.queries.writes import explained, find_writes
from publishing.views.seen import naming_scope, page_end
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from tenants.queries import tenants_of
from wire.display import counted

A_PAGE = 50


@needs(Permission.PUBLISHING_VIEW)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The writes, the newest first, narrowed by the address."""
    request = cast(TenantRequest, request)
    form = WritesForm(
        request.GET,
        tenant=request.tenant,
        tenants=tenants_of(request.user) if request.platform_admin else None,
        envs=settings.SPENDOPS.environments,
    )
    form.is_valid()
    before = page_end(request)
    with naming_scope(request):
        found = find_writes(form.wanted(), before=before, most=A_PAGE + 1)
        writes = explained(found[:A_PAGE], seen_by=form.seen_by)
    kept = {name: request.GET[name] for name in form.fields if request.GET.get(name)}
    context = {
        "form": form,
        "writes": writes,
        "older": before is not None,
        "shown": f"{counted(len(writes), 'write')} shown",
        "next_url": f"?{urlencode(kept | {'before': str(writes[-1].version.pk)})}" if len(found) > A_PAGE else "",
        "first_url": f"?{urlencode(kept)}" if before is not None else "",
    }
    return render(request, "publishing/writes.html", context)
