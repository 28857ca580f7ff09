"""A person's own sessions: where somebody is signed in as them, and the end of it."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from access import actions, queries
from access.actors import actor_of
from access.lifetimes import lifetime_of
from access.models import User
from access.rules import span, token_hash


@never_cache
@require_safe
def sessions(request: HttpRequest) -> HttpResponse:
    """The person's sessions, the one that was used last first."""
    user = cast(User, request.user)
    lifetime = lifetime_of(user)
    context = {
        "sessions": queries.sessions_of(user),
        "this_session": token_hash(request.session.session_key or ""),
        "idle": span(lifetime.idle),
        "absolute": span(lifetime.absolute),
    }
    return render(request, "access/sessions.html", context)


@never_cache
@require_POST
def end(request: HttpRequest, kept_key: str) -> HttpResponse:
    """End one of them."""
    user = cast(User, request.user)
    this_one = kept_key == token_hash(request.session.session_key or "")
    if not actions.end_session(user=user, kept_key=kept_key, by=actor_of(request)):
        raise Http404
    if this_one:
        request.session.modified = False  # it is gone, and is not to be saved again
        return redirect("access:sign_in")
    messages.success(request, "That session is ended.")
    return redirect("access:sessions")


@never_cache
@require_POST
def end_others(request: HttpRequest) -> HttpResponse:
    """End all but this one."""
    ended = actions.end_other_sessions(
        user=cast(User, request.user), keep=request.session.session_key or "", by=actor_of(request)
    )
    messages.success(request, "There was no other session." if not ended else f"Other sessions ended: {ended}.")
    return redirect("access:sessions")
