"""API keys: find them, issue one (shown once), let one rest, revoke one."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access.models import User
from access.step_up import step_up_required
from tenants.actions.keys import IssuedKey, disable_key, enable_key, issue_key, revoke_key, rotate_key
from tenants.errors import AlreadyIssuedError, RefusedError
from tenants.forms.keys import IssueKeyForm, KeyFilterForm, RevokeForm, RotateForm
from tenants.gates import api_key_for, owner_seen
from tenants.http import TenantRequest
from tenants.key_queries import KeyFilter, find_keys
from tenants.models import ApiKey
from tenants.permissions import Permission, needs
from tenants.snippets import snippets

PER_PAGE = 50


@needs(Permission.KEYS_VIEW, Permission.KEYS_VIEW_OWN)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The tenant's keys, narrowed by the address, so that an address is a view."""
    request = cast(TenantRequest, request)
    form = KeyFilterForm(request.GET, tenant=request.tenant, owner=owner_seen(request))
    form.is_valid()
    chosen = form.cleaned_data
    project = chosen.get("project")
    narrowed = KeyFilter(
        text=chosen.get("q", ""),
        status=chosen.get("status", ""),
        env=chosen.get("env", ""),
        project=project.id if project else "",
        owner=owner_seen(request),
    )
    page = Paginator(find_keys(request.tenant, narrowed), PER_PAGE).get_page(request.GET.get("page"))
    kept = {
        name: value
        for name, value in (
            ("q", narrowed.text),
            ("status", narrowed.status),
            ("env", narrowed.env),
            ("project", narrowed.project),
        )
        if value
    }
    return render(
        request,
        "tenants/keys.html",
        {
            "form": form,
            "page": page,
            "narrowed": bool(kept),
            "next_url": f"?{urlencode(kept | {'page': page.next_page_number()})}" if page.has_next() else "",
            "first_url": f"?{urlencode(kept)}" if page.has_previous() else "",
            "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
        },
    )


@needs(Permission.KEYS_ISSUE)
@require_http_methods(["GET", "POST"])
@never_cache
@step_up_required
def issue(request: HttpRequest) -> HttpResponse:
    """The form of a new key. Its answer, and nothing else ever, shows the key."""
    request = cast(TenantRequest, request)
    form = IssueKeyForm(request.POST or None, tenant=request.tenant)
    if request.method == "POST" and form.is_valid():
        try:
            issued = issue_key(tenant=request.tenant, by=request.actor, **form.arguments())
        except AlreadyIssuedError as error:
            messages.info(request, error.message)
            return redirect("tenants:key", error.key_id)
        except RefusedError as error:
            form.refuse(error)
        else:
            return _issued(request, issued)
    return render(request, "tenants/key_issue.html", {"form": form})


def _issued(request: TenantRequest, issued: IssuedKey, *, instead_of: ApiKey | None = None) -> HttpResponse:
    base_url = settings.GATEWAY_URLS[issued.key.env]
    context = {
        "instead_of": instead_of,
        "key": issued.key,
        "text": issued.text,
        "base_url": base_url,
        "snippets": snippets(issued.text, base_url),
        "sandboxed": not settings.PRODUCTION,
    }
    return render(request, "tenants/key_issued.html", context)


@needs(Permission.KEYS_VIEW, Permission.KEYS_VIEW_OWN)
@require_safe
def detail(request: HttpRequest, key_id: str) -> HttpResponse:
    """One key: what it may do, and what may be done with it."""
    request = cast(TenantRequest, request)
    return _detail(request, api_key_for(request, key_id))


def _detail(
    request: TenantRequest, key: ApiKey, form: RevokeForm | None = None, rotate_form: RotateForm | None = None
) -> HttpResponse:
    context = {
        "key": key,
        "owner": User.objects.filter(pk=key.owner_id).first(),
        "form": form or RevokeForm(key=key),
        "rotate_form": rotate_form or RotateForm(),
        "base_url": settings.GATEWAY_URLS.get(key.env, ""),
    }
    return render(request, "tenants/key.html", context)


@needs(Permission.KEYS_REVOKE)
@require_POST
def disable(request: HttpRequest, key_id: str) -> HttpResponse:
    """Let a key rest."""
    request = cast(TenantRequest, request)
    key = api_key_for(request, key_id)
    try:
        disable_key(key=key, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"“{key.name}” is disabled: calls with it are refused until you enable it again.")
    return redirect("tenants:key", key.id)


@needs(Permission.KEYS_REVOKE)
@require_POST
@step_up_required
def enable(request: HttpRequest, key_id: str) -> HttpResponse:
    """Let a disabled key work again."""
    request = cast(TenantRequest, request)
    key = api_key_for(request, key_id)
    try:
        enable_key(key=key, by=request.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"“{key.name}” works again.")
    return redirect("tenants:key", key.id)


@needs(Permission.KEYS_ISSUE)
@require_POST
@never_cache
@step_up_required
def rotate(request: HttpRequest, key_id: str) -> HttpResponse:
    """A new key in place of this one, shown once; the old one works for a while."""
    request = cast(TenantRequest, request)
    key = api_key_for(request, key_id)
    form = RotateForm(request.POST)
    if form.is_valid():
        try:
            issued = rotate_key(key=key, grace=form.cleaned_data["grace"], by=request.actor)
        except AlreadyIssuedError as error:
            messages.info(request, error.message)
            return redirect("tenants:key", error.key_id)
        except RefusedError as error:
            form.refuse(error)
        else:
            return _issued(request, issued, instead_of=api_key_for(request, key_id))
    return _detail(request, key, rotate_form=form)


@needs(Permission.KEYS_REVOKE)
@require_POST
@step_up_required
def revoke(request: HttpRequest, key_id: str) -> HttpResponse:
    """End a key for ever, once its name was typed."""
    request = cast(TenantRequest, request)
    key = api_key_for(request, key_id)
    form = RevokeForm(request.POST, key=key)
    if not form.is_valid():
        return _detail(request, key, form)
    revoke_key(key=key, by=request.actor)
    messages.success(request, f"“{key.name}” is revoked: the gateway refuses it from now on.")
    return redirect("tenants:key", key.id)
