"""The audit trail: find events, look at one, take a copy away."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import cast
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from access.step_up import step_up_required
from changes.queries import find_events
from changes.trail import Naming, differences, noun_label, role_label
from tenants.actions.audit import note_export
from tenants.audit_export import FORMATS
from tenants.audit_forms import AuditForm
from tenants.gates import audit_event_for
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from tenants.queries import tenants_of
from tenants.scope import across_tenants
from tenants.views.posting import post_or_page
from wire.display import counted

PER_PAGE = 50


@needs(Permission.AUDIT_VIEW)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The events, the newest first, narrowed by the address."""
    request = cast(TenantRequest, request)
    form = _form(request)
    before = _before(request)
    with _scope(beyond=form.beyond):
        found = find_events(form.wanted(), before=before, most=PER_PAGE + 1)
        events = found[:PER_PAGE]
        naming = Naming(events)
    kept = {name: request.GET[name] for name in form.fields if request.GET.get(name)}
    context = {
        "form": form,
        "rows": [
            {
                "event": event,
                "parts": naming.sentence(event),
                "role": role_label(event.actor_role),
                "tenant": naming.of("tenant", event.tenant_id) if event.tenant_id else "The installation",
            }
            for event in events
        ],
        "older": before is not None,
        "shown": f"{counted(len(events), 'event')} shown",
        "next_url": f"?{urlencode(kept | {'before': str(events[-1].id)})}" if len(found) > PER_PAGE else "",
        "first_url": f"?{urlencode(kept)}" if before is not None else "",
        "query": urlencode(kept),
        "formats": FORMATS,
    }
    return render(request, "tenants/audit.html", context)


@needs(Permission.AUDIT_VIEW)
@require_safe
def detail(request: HttpRequest, event_id: int) -> HttpResponse:
    """One event: who, what, when, from where, and what was before and after."""
    request = cast(TenantRequest, request)
    event = audit_event_for(request, event_id)
    with _scope(beyond=event.tenant_id != request.tenant.id):
        naming = Naming([event])
    context = {
        "event": event,
        "parts": naming.sentence(event),
        "actor": naming.actor(event),
        "target": naming.target(event),
        "about": noun_label(event.target_kind),
        "role": role_label(event.actor_role),
        "tenant": naming.of("tenant", event.tenant_id) if event.tenant_id else "",
        "differences": differences(event, naming),
    }
    return render(request, "tenants/audit_event.html", context)


@needs(Permission.AUDIT_EXPORT)
@post_or_page("tenants:audit")
@step_up_required
def export(request: HttpRequest) -> HttpResponseBase:
    """The events that the address narrows to, as a file. That it was taken is an event of its own."""
    request = cast(TenantRequest, request)
    name = request.POST.get("format", "")
    if name not in FORMATS:
        return HttpResponseBadRequest(f"The format {name[:20]!r} is not known: choose one of {', '.join(FORMATS)}.")
    form = _form(request)
    with _scope(beyond=form.beyond):
        wanted = form.wanted()
    tenant_id = "" if form.beyond else request.tenant.id
    note_export(tenant_id=tenant_id, format_name=name, filters=form.chosen(), by=request.actor)
    content_type, lines = FORMATS[name]
    response = StreamingHttpResponse(lines(wanted, lambda: _scope(beyond=form.beyond)), content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="audit-{timezone.now():%Y-%m-%d}.{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _form(request: TenantRequest) -> AuditForm:
    tenants = tenants_of(request.user) if request.platform_admin else None
    form = AuditForm(request.GET, tenant=request.tenant, tenants=tenants)
    form.is_valid()
    return form


def _before(request: HttpRequest) -> int | None:
    text = request.GET.get("before", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _scope(*, beyond: bool) -> AbstractContextManager[None]:
    """Names are looked up in the tenant's scope, unless a platform admin looks at what lies beyond."""
    return across_tenants("a platform admin reads the whole trail") if beyond else nullcontext()
