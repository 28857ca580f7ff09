"""Pages of alerts: the outbox, one message as its receiver sees it, and the channels."""

from __future__ import annotations

import json
from typing import cast

from csp.constants import SELF
from csp.decorators import csp, csp_update
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from alerts.actions.channels import add_channel, ensure_default_channels, remove_channel, try_channel
from alerts.actions.sending import retry_delivery
from alerts.channels import KINDS, kind_of
from alerts.forms import ChannelForm
from alerts.gates import channel_for, delivery_for
from alerts.models import Delivery
from alerts.queries import channels_of, deliveries_of
from alerts.slack_preview import parts_of
from spend.views.live import NOTHING_NEW, stamp
from tenants.errors import RefusedError
from tenants.http import TenantRequest
from tenants.mailing import PREVIEW_POLICY
from tenants.permissions import Permission, needs

PER_PAGE = 50


@needs(Permission.ALERTS_VIEW)
@require_safe
def outbox(request: HttpRequest) -> HttpResponse:
    """The tenant's messages, newest first."""
    return _outbox(cast(TenantRequest, request), "alerts/outbox.html")


@needs(Permission.ALERTS_VIEW)
@require_safe
def outbox_rows(request: HttpRequest) -> HttpResponse:
    """The part that changes. 204 while it is what the page has `seen`."""
    return _outbox(cast(TenantRequest, request), "alerts/_outbox.html")


def _outbox(request: TenantRequest, template: str) -> HttpResponse:
    page = Paginator(deliveries_of(request.tenant), PER_PAGE).get_page(request.GET.get("page"))
    seen = stamp([(row.id, row.status, row.attempts, row.error) for row in page], page.number, page.paginator.count)
    if template.startswith("alerts/_") and request.GET.get("seen") == seen:
        return HttpResponse(status=NOTHING_NEW)
    context = {
        "page": page,
        "seen": seen,
        "kept_here": any(row.kept_here for row in page),
        "next_url": f"?page={page.next_page_number()}" if page.has_next() else "",
        "first_url": "?" if page.has_previous() else "",
        "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
    }
    return render(request, template, context)


@needs(Permission.ALERTS_VIEW)
@require_safe
@csp_update({"frame-src": [SELF]})  # type: ignore[arg-type]  # its types know only views without arguments
def delivery(request: HttpRequest, delivery_id: str) -> HttpResponse:
    """One message, as its receiver sees it and as it is."""
    request = cast(TenantRequest, request)
    found = delivery_for(request, delivery_id)
    context = {
        "delivery": found,
        "parts": parts_of(found.blocks),
        "raw": json.dumps(found.payload, indent=2, ensure_ascii=False) if found.blocks else "",
    }
    return render(request, "alerts/delivery.html", context)


@needs(Permission.ALERTS_VIEW)
@require_safe
@xframe_options_sameorigin
@csp(PREVIEW_POLICY)  # type: ignore[arg-type]
def mail_html(request: HttpRequest, delivery_id: str) -> HttpResponse:
    """The HTML part of a mail, exactly as it was sent."""
    found = delivery_for(cast(TenantRequest, request), delivery_id)
    if not found.html:
        raise Http404("This message has no HTML part.")
    return HttpResponse(found.html)


@needs(Permission.ALERTS_CHANGE)
@require_POST
def retry(request: HttpRequest, delivery_id: str) -> HttpResponse:
    """Send a message that was refused or given up once more."""
    request = cast(TenantRequest, request)
    found: Delivery = delivery_for(request, delivery_id)
    try:
        retry_delivery(delivery_id=found.id, tenant_id=request.tenant.id, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "It is sent again within seconds.")
    return redirect("alerts:delivery", found.id)


@needs(Permission.ALERTS_VIEW)
@require_safe
def channels(request: HttpRequest) -> HttpResponse:
    """Where the tenant's alerts go."""
    request = cast(TenantRequest, request)
    ensure_default_channels(request.tenant)
    rows = [
        {"channel": each, "kind": kind_of(each), "target": kind_of(each).target(each)}
        for each in channels_of(request.tenant)
    ]
    return render(request, "alerts/channels.html", {"rows": rows})


@needs(Permission.ALERTS_CHANGE)
@require_http_methods(["GET", "POST"])
def channel_new(request: HttpRequest, kind: str) -> HttpResponse:
    """The form of a new channel."""
    request = cast(TenantRequest, request)
    if kind not in KINDS:
        raise Http404("There is no such kind of channel.")
    form = ChannelForm(request.POST or None, kind=kind)
    if request.method == "POST" and form.is_valid():
        try:
            made = add_channel(tenant=request.tenant, kind=kind, by=request.actor, **form.cleaned_data)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Alerts go to “{made.name}” from now on. Send a test to see that they arrive.")
            return redirect("alerts:channels")
    context = {"form": form, "kind": KINDS[kind]}
    return render(request, "alerts/channel_new.html", context, status=422 if form.errors else 200)


@needs(Permission.ALERTS_CHANGE)
@require_POST
def channel_test(request: HttpRequest, channel_id: str) -> HttpResponse:
    """Send a test message to a channel."""
    request = cast(TenantRequest, request)
    channel = channel_for(request, channel_id)
    try:
        made = try_channel(channel_id=channel.id, tenant=request.tenant, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
        return redirect("alerts:channels")
    return redirect("alerts:delivery", made.id)


@needs(Permission.ALERTS_CHANGE)
@require_POST
def channel_remove(request: HttpRequest, channel_id: str) -> HttpResponse:
    """No more alerts for a channel."""
    request = cast(TenantRequest, request)
    channel = channel_for(request, channel_id)
    try:
        remove_channel(channel_id=channel.id, tenant=request.tenant, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"“{channel.name}” is removed: no more alerts go there.")
    return redirect("alerts:channels")
