"""What is done to one API key: it rests, works again, is rotated, is revoked."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from access.step_up import step_up_required
from tenants.actions.keys import disable_key, enable_key, revoke_key, rotate_key
from tenants.errors import AlreadyIssuedError, RefusedError
from tenants.forms.keys import RevokeForm, RotateForm
from tenants.gates import api_key_for
from tenants.http import TenantRequest
from tenants.models import ApiKey
from tenants.permissions import Permission, needs
from tenants.views.keys import show_issued, show_key
from tenants.views.posting import post_or_page


@needs(Permission.KEYS_REVOKE)
@post_or_page("tenants:key", "key_id")
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
@step_up_required
@post_or_page("tenants:key", "key_id")
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
@never_cache
@step_up_required
@post_or_page("tenants:key", "key_id")
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
            return show_issued(request, issued, instead_of=api_key_for(request, key_id))
    return show_key(request, key, rotate_form=form)


@needs(Permission.KEYS_REVOKE)
@require_http_methods(["GET", "POST"])
@step_up_required
def revoke(request: HttpRequest, key_id: str) -> HttpResponse:
    """End a key for ever, once its name was typed on a page that shows what it was used for lately."""
    request = cast(TenantRequest, request)
    key = api_key_for(request, key_id)
    if key.status == ApiKey.Status.REVOKED:
        messages.info(request, f"“{key.name}” is revoked already.")
        return redirect("tenants:key", key.id)
    form = RevokeForm(request.POST or None, key=key)
    if request.method == "POST" and form.is_valid():
        revoke_key(key=key, by=request.actor)
        messages.success(request, f"“{key.name}” is revoked: the gateway refuses it from now on.")
        return redirect("tenants:key", key.id)
    return render(request, "tenants/key_revoke.html", {"form": form, "key": key})
