"""Enrolling the first passkey of an account by a one-time link."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from access import actions, queries
from access.actors import actor_of
from access.ceremonies import ask_registration, verify_registration
from access.gates import public
from access.limits import ENROLMENT, limited
from access.models import Ceremony, EnrolmentLink
from access.sessions import begin_session
from access.views.endpoints import begin, endpoint, finish, passkey_name, text


@public
@never_cache
@require_safe
def enrol(request: HttpRequest) -> HttpResponse:
    """The link's token is in the address's fragment, which no browser sends: the page's script posts it."""
    return render(request, "access/enrol.html", {"site": settings.PUBLIC_URL})


@public
@limited(ENROLMENT)
@endpoint
def enrol_look(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """Whom a link is for, so that its holder sees it before touching the reader."""
    link = _link(body)
    return {"state": "ready", "email": link.user.email, "expires_at": link.expires_at.isoformat()}


@public
@limited(ENROLMENT)
@endpoint
def enrol_begin(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    user = _link(body).user
    passkey_name(body)  # said before the person is asked for a finger
    asked = ask_registration(
        handle=bytes(user.handle), email=user.email, name=user.name, known=queries.known_credentials(user)
    )
    return begin(request, asked, Ceremony.Purpose.ENROL, user=user)


@public
@limited(ENROLMENT)
@endpoint
def enrol_finish(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    link = _link(body)
    ceremony = finish(request, Ceremony.Purpose.ENROL, user=link.user)
    passkey = actions.enrol(
        link=link,
        credential=verify_registration(body.get("credential"), challenge=bytes(ceremony.challenge)),
        name=passkey_name(body),
        by=actor_of(request),
    )
    begin_session(request, passkey)
    has_codes = queries.recovery_codes_of(link.user).exists()
    return {"next": resolve_url(settings.LOGIN_REDIRECT_URL if has_codes else "access:recovery_codes")}


def _link(body: dict[str, Any]) -> EnrolmentLink:
    link = queries.live_link(text(body, "token"))
    if link is None:
        raise actions.LinkNotValidError
    return link
