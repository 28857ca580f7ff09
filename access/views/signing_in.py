"""Signing in with a passkey, without a user name; signing out."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from access import actions
from access.actors import actor_of
from access.ceremonies import ask_assertion
from access.gates import is_verified, public
from access.limits import CEREMONIES, limited
from access.middleware import safe_return
from access.models import Ceremony, User
from access.sessions import begin_session
from access.views.endpoints import begin, endpoint, finish, text


@public
@never_cache
@require_safe
def sign_in(request: HttpRequest) -> HttpResponse:
    back = safe_return(request, request.GET.get("next", ""))
    if is_verified(request):
        return redirect(back or settings.LOGIN_REDIRECT_URL)
    return render(request, "access/sign_in.html", {"back": back, "site": settings.PUBLIC_URL})


@public
@limited(CEREMONIES)
@endpoint
def sign_in_begin(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """Any passkey of this site may answer, so nothing about who has an account is told."""
    return begin(request, ask_assertion(), Ceremony.Purpose.SIGN_IN)


@public
@limited(CEREMONIES)
@endpoint
def sign_in_finish(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    ceremony = finish(request, Ceremony.Purpose.SIGN_IN)
    passkey = actions.use_passkey(
        answer=body.get("credential"),
        challenge=bytes(ceremony.challenge),
        kind="user.signed_in",
        by=actor_of(request),
    )
    begin_session(request, passkey)
    return {"next": safe_return(request, text(body, "next")) or resolve_url(settings.LOGIN_REDIRECT_URL)}


@public
@never_cache
@require_safe
def session(request: HttpRequest) -> HttpResponse:
    """Whether somebody is signed in here, and the token for writing: pages older than the session ask this."""
    return JsonResponse({"signed_in": is_verified(request), "csrf": get_token(request)})


@never_cache
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    actions.sign_out(user=cast(User, request.user), session_key=request.session.session_key or "", by=actor_of(request))
    logout(request)
    return redirect("access:sign_in")
