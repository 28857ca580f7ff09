"""A person's own passkeys."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from access import actions, queries
from access.actors import actor_of
from access.ceremonies import ask_registration, verify_registration
from access.forms import PasskeyNameForm
from access.limits import CEREMONIES, limited
from access.models import Ceremony, Passkey, User
from access.step_up import step_up_required
from access.views.endpoints import begin, endpoint, finish, passkey_name


@never_cache
@require_safe
def passkeys(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    found = list(queries.passkeys_of(user))
    usable = sum(passkey.confirmed for passkey in found)
    context = {
        "passkeys": found,
        "current": user.otp_device,
        "only_one": usable == 1,
        "codes_left": queries.recovery_codes_of(user).count(),
    }
    return render(request, "access/passkeys.html", context)


@limited(CEREMONIES)
@endpoint
@step_up_required
def add_begin(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    user = cast(User, request.user)
    passkey_name(body)  # said before the person is asked for a finger
    asked = ask_registration(
        handle=bytes(user.handle), email=user.email, name=user.name, known=queries.known_credentials(user)
    )
    return begin(request, asked, Ceremony.Purpose.ADD_PASSKEY, user=user)


@limited(CEREMONIES)
@endpoint
@step_up_required
def add_finish(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    user = cast(User, request.user)
    ceremony = finish(request, Ceremony.Purpose.ADD_PASSKEY, user=user)
    passkey = actions.add_passkey(
        user=user,
        credential=verify_registration(body.get("credential"), challenge=bytes(ceremony.challenge)),
        name=passkey_name(body),
        keep=request.session.session_key or "",
        by=actor_of(request),
    )
    messages.success(request, f"Passkey “{passkey.name}” added. Your other sessions were ended.")
    return {"next": reverse("access:passkeys")}


@never_cache
@require_POST
def rename(request: HttpRequest, passkey_id: int) -> HttpResponse:
    passkey = _own_passkey(request, passkey_id)
    form = PasskeyNameForm(request.POST)
    if form.is_valid():
        actions.rename_passkey(passkey=passkey, name=form.cleaned_data["name"], by=actor_of(request))
        messages.success(request, f"Passkey renamed to “{form.cleaned_data['name']}”.")
    else:
        messages.error(request, form.complaint())
    return redirect("access:passkeys")


@never_cache
@require_POST
@step_up_required
def remove(request: HttpRequest, passkey_id: int) -> HttpResponse:
    passkey = _own_passkey(request, passkey_id)
    used_now = passkey == cast(User, request.user).otp_device
    try:
        actions.remove_passkey(passkey=passkey, keep=request.session.session_key or "", by=actor_of(request))
    except actions.LastPasskeyError:
        messages.error(request, "This is your last working passkey. Add another one before removing it.")
    else:
        messages.success(request, f"Passkey “{passkey.name}” removed. Your other sessions were ended.")
    return redirect("access:sign_in" if used_now else "access:passkeys")


@never_cache
@require_POST
@step_up_required
def disable(request: HttpRequest, passkey_id: int) -> HttpResponse:
    """Let a passkey rest, as while its device is away."""
    passkey = _own_passkey(request, passkey_id)
    used_now = passkey == cast(User, request.user).otp_device
    try:
        actions.disable_passkey(passkey=passkey, keep=request.session.session_key or "", by=actor_of(request))
    except actions.LastPasskeyError:
        messages.error(request, "This is your last working passkey. Add another one before disabling it.")
    else:
        messages.success(request, f"Passkey “{passkey.name}” is disabled. Your other sessions were ended.")
    return redirect("access:sign_in" if used_now else "access:passkeys")


@never_cache
@require_POST
@step_up_required
def enable(request: HttpRequest, passkey_id: int) -> HttpResponse:
    """Let a disabled passkey work again."""
    passkey = _own_passkey(request, passkey_id)
    try:
        actions.enable_passkey(passkey=passkey, keep=request.session.session_key or "", by=actor_of(request))
    except actions.PasskeyCopiedError:
        messages.error(request, f"“{passkey.name}” looks copied and stays disabled. Remove it and enrol a new one.")
    else:
        messages.success(request, f"Passkey “{passkey.name}” works again. Your other sessions were ended.")
    return redirect("access:passkeys")


def _own_passkey(request: HttpRequest, passkey_id: int) -> Passkey:
    passkey = queries.passkeys_of(cast(User, request.user)).filter(pk=passkey_id).first()
    if passkey is None:
        raise Http404
    return passkey
