"""Recovery codes: made and shown once, and what one of them opens when every passkey is lost."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from access import actions, queries
from access.actors import actor_of
from access.gates import public
from access.limits import RECOVERY, limited
from access.models import User
from access.step_up import step_up_required
from access.views.endpoints import endpoint, text


@never_cache
@require_http_methods(["GET", "POST"])
@step_up_required
def codes(request: HttpRequest) -> HttpResponse:
    """How many codes are left. The answer to asking for new ones, and nothing else ever, shows codes."""
    user = cast(User, request.user)
    made = actions.issue_recovery_codes(user=user, by=actor_of(request)) if request.method == "POST" else []
    left = list(queries.recovery_codes_of(user))
    context = {
        "made": "\n".join(made),
        "left": len(left),
        "of": actions.RECOVERY_CODES,
        "issued_at": left[0].created_at if left else None,
        "later": resolve_url(settings.LOGIN_REDIRECT_URL),
        "site": settings.PUBLIC_URL,
    }
    return render(request, "access/recovery_codes.html", context)


@public
@never_cache
@require_safe
def recover(request: HttpRequest) -> HttpResponse:
    """Where a recovery code is typed."""
    return render(request, "access/recover.html", {"site": settings.PUBLIC_URL})


@public
@limited(RECOVERY)
@endpoint
def redeem(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """A code becomes a link that enrols a passkey. Nobody is signed in by it."""
    link = actions.redeem_recovery_code(code=text(body, "code"), by=actor_of(request))
    return {"next": f"{reverse('access:enrol')}#{link.token}"}
