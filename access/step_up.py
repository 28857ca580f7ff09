"""Step-up: dangerous requests need a passkey's confirmation that is fresh, or that was given for that very request.

    @step_up_required                 a ceremony within settings.STEP_UP_SECONDS
    @step_up_required(bound=True)     a ceremony for exactly this address and these form fields, taken once

In a template the form says `data-step-up` or `data-step-up="bound"`; static/access/passkey.js does the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast, overload

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from access.challenges import take_confirmation
from access.models import User
from access.problems import problem, wants_html
from access.rules import action_hash
from access.session_engine import CONFIRMED_AT
from access.sessions import CONFIRMATION

HEADER = "X-SpendOps-Step-Up"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
CODE = "step_up_required"
_MARK = "step_up"

View = TypeVar("View", bound=Callable[..., Any])


@overload
def step_up_required(view: View) -> View: ...
@overload
def step_up_required(*, bound: bool = False) -> Callable[[View], View]: ...
def step_up_required(view: View | None = None, *, bound: bool = False) -> View | Callable[[View], View]:
    """Refuse a writing request with 403 `step_up_required` unless it was confirmed; the view does not run then.

    Reading requests pass, so one view may show a form and take it.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if request.method not in SAFE_METHODS and not is_confirmed(request, bound=bound):
                return refuse(request, bound=bound)
            return view(request, *args, **kwargs)

        setattr(guarded, _MARK, "bound" if bound else "fresh")
        return cast(View, guarded)

    return decorate if view is None else decorate(view)


def is_confirmed(request: HttpRequest, *, bound: bool = False) -> bool:
    """Whether the person has confirmed. With `bound`, asking takes the confirmation: it is good for one answer."""
    return _is_bound_to(request) if bound else is_fresh(request)


def is_fresh(request: HttpRequest, *, margin: float = 0) -> bool:
    """Whether the last ceremony of this session is recent, and will be for another `margin` seconds."""
    confirmed_at = request.session.get(CONFIRMED_AT)
    return confirmed_at is not None and time.time() - confirmed_at <= settings.STEP_UP_SECONDS - margin


def refuse(request: HttpRequest, *, bound: bool) -> HttpResponse:
    """The answer to a request that was not confirmed. A browser gets its form back, to confirm and to send again."""
    if wants_html(request):
        fields = [(name, value) for name, values in request.POST.lists() for value in values]
        context = {
            "address": request.get_full_path(),
            "fields": [(name, value) for name, value in fields if name != "csrfmiddlewaretoken"],
            "bound": bound,
        }
        response = render(request, "access/confirm.html", context, status=403)
        response.headers["Cache-Control"] = "no-store"
    else:
        response = problem(403, CODE, "Confirm with your passkey, then send this again. Nothing was changed.")
    response.headers[HEADER] = "required"
    return response


def _is_bound_to(request: HttpRequest) -> bool:
    confirmation = request.session.pop(CONFIRMATION, None)
    if confirmation is None or request.FILES:  # a confirmation covers form fields, not the contents of files
        return False
    fields = [(name, value) for name, values in request.POST.lists() for value in values]
    action = action_hash(
        method=request.method or "",
        path=request.path,
        query=request.META.get("QUERY_STRING", ""),
        fields=fields,
    )
    return take_confirmation(confirmation, user=cast(User, request.user), action=action)
