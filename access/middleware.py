"""Deny by default: sessions end in time, and every view that is not public needs a passkey behind the session."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

from access.gates import is_admitted, is_public, is_verified
from access.lifetimes import lifetime_of
from access.models import User
from access.problems import problem, wants_html
from access.rules import session_ended
from access.session_engine import SEEN_AT, SIGNED_IN_AT

# A page that refreshes itself sends this header, so that it does not keep alive a session that nobody uses.
BACKGROUND = "X-SpendOps-Background"
WRITTEN_EVERY = 30  # seconds: when somebody was last seen is one write in a while, not one for each request


class SessionLifetimeMiddleware:
    """Ends sessions at their idle and absolute limits.

    Stands before OTPMiddleware: ending a session puts an anonymous user into the request, who must still learn
    `is_verified()` there.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated:
            self._keep_or_end(request)
        return self._get_response(request)

    def _keep_or_end(self, request: HttpRequest) -> None:
        now = time.time()
        session = request.session
        lifetime = lifetime_of(cast(User, request.user))
        signed_in_at, seen_at = session.get(SIGNED_IN_AT), session.get(SEEN_AT)
        if session_ended(now=now, signed_in_at=signed_in_at, seen_at=seen_at, **lifetime._asdict()):
            logout(request)
        elif now - session[SEEN_AT] > WRITTEN_EVERY and BACKGROUND not in request.headers:
            session[SEEN_AT] = now


class PasskeyRequiredMiddleware:
    """Refuses whoever is not signed in with a passkey, on every view that is not marked `@public`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        unresolved = request.resolver_match is None and response.status_code != 401
        if unresolved and request.path.startswith("/api/") and not is_admitted(request):
            return refuse(request)  # an address that does not exist tells a stranger no more than one that does
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        if is_public(view):
            return None
        if not is_admitted(request):
            return refuse(request)
        if is_verified(request) and getattr(view, "csrf_exempt", False) and _is_forged(request):
            return problem(403, "csrf_failed", "Send the CSRF token of the page in the header X-CSRFToken.")
        return None


def refuse(request: HttpRequest) -> HttpResponse:
    """Send a browser to the sign-in page (it comes back afterwards), and tell a program 401."""
    if wants_html(request):
        return HttpResponseRedirect(sign_in_address(request))
    response = problem(401, "sign_in_required", "Sign in with a passkey first.")
    if request.headers.get("HX-Request"):
        response.headers["HX-Redirect"] = sign_in_address(request)
    return response


def _is_forged(request: HttpRequest) -> bool:
    """django-ninja exempts its views from Django's check. With a session the check is made all the same: a cookie alone
    does not show that the person meant it.
    """
    check = CsrfViewMiddleware(lambda _: HttpResponse())
    check.process_request(request)
    return check.process_view(request, _checked, (), {}) is not None


def _checked() -> HttpResponse:
    """Stands in for the view, whose exemption does not count."""
    return HttpResponse()


def sign_in_address(request: HttpRequest) -> str:
    """The sign-in page, with the way back to where the person was."""
    here = request.get_full_path()
    if request.headers.get("HX-Request"):
        here = request.headers.get("HX-Current-URL", "")
    elif request.method not in ("GET", "HEAD"):
        here = request.headers.get("Referer", "")
    back = safe_return(request, here)
    sign_in = resolve_url(settings.LOGIN_URL)
    return f"{sign_in}?{urlencode({'next': back})}" if back else sign_in


def safe_return(request: HttpRequest, address: str) -> str:
    """The path of an address on this very site; "" for any other, so that nobody is led away by a link."""
    if not url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure()):
        return ""
    parts = urlsplit(address)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return path if path.startswith("/") and not path.startswith("//") else ""
