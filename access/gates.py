"""Which views anybody may open. Everything else needs a session that a passkey stands behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpRequest

View = TypeVar("View", bound=Callable[..., Any])

_MARK = "_anybody_may_open"


def public(view: View) -> View:
    """Mark a view that anybody may open, signed in or not."""
    setattr(view, _MARK, True)
    return view


def is_verified(request: HttpRequest) -> bool:
    """Whether a passkey stands behind the request's session."""
    check = getattr(request.user, "is_verified", None)
    return check is not None and bool(check())


def is_admitted(request: HttpRequest) -> bool:
    """Whether the request is somebody's: a person's with a passkey or, of the API's, a service token's.

    The latter is set by `tenants.frame.callers`, under /api/ only, so that a token is never enough for a page. That of
    the state service is set by `pricing.state.door`, under /api/state/ only.
    """
    token = getattr(request, "service_token", None)
    return is_verified(request) or token is not None or getattr(request, "state_service", False)


def is_public(view: Callable[..., Any]) -> bool:
    return getattr(view, _MARK, False) is True
