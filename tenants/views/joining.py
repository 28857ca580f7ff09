"""Accepting an invitation: with a new account and its first passkey, or with the account that a person has."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from access.actions import LinkNotValidError
from access.actors import actor_of
from access.ceremonies import CeremonyRefusedError, ask_registration, verify_registration
from access.gates import is_verified, public
from access.limits import ENROLMENT, limited
from access.models import Ceremony, User
from access.rules import token_hash
from access.sessions import begin_session
from access.views.endpoints import BadRequestError, begin, endpoint, finish, passkey_name, text
from tenants.actions.invitations import accept, accept_as_new
from tenants.errors import RefusedError
from tenants.middleware import CHOSEN
from tenants.models import Invitation, Tenant
from tenants.people import live_invitation
from tenants.rules import clean_name


@public
@never_cache
@require_safe
def join(request: HttpRequest) -> HttpResponse:
    """The link's token is in the address's fragment, which no browser sends: the page's script posts it."""
    return render(request, "tenants/join.html", {"site": settings.PUBLIC_URL})


@public
@limited(ENROLMENT)
@endpoint
def look(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """What the link offers and to whom, and which way of accepting it is open in this browser."""
    invitation = _invitation(body)
    if is_verified(request):
        state = "accept" if cast(User, request.user).email == invitation.email else "other"
    else:
        state = "known" if _has_account(invitation) else "new"
    return {
        "state": state,
        "email": invitation.email,
        "tenant": invitation.tenant.name,
        "role": invitation.role_label.lower(),
        "inviter": str(invitation.invited_by),
        "person": cast(User, request.user).email if is_verified(request) else "",
    }


@public
@limited(ENROLMENT)
@endpoint
def join_begin(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """Ask for the first passkey of somebody new."""
    invitation = _invitation(body)
    if _has_account(invitation):
        raise LinkNotValidError
    passkey_name(body)  # both names: said before the person is asked for a finger
    person = _person_name(body)
    asked = ask_registration(handle=bytes(invitation.handle), email=invitation.email, name=person)
    return begin(request, asked, Ceremony.Purpose.JOIN, action=token_hash(text(body, "token")))


@public
@limited(ENROLMENT)
@endpoint
def join_finish(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """Make the account, and sign it in."""
    token = text(body, "token")
    ceremony = finish(request, Ceremony.Purpose.JOIN)
    if ceremony.action != token_hash(token):
        raise CeremonyRefusedError("The challenge was made for another invitation.")
    try:
        passkey, tenant = accept_as_new(
            token=token,
            name=_person_name(body),
            credential=verify_registration(body.get("credential"), challenge=bytes(ceremony.challenge)),
            passkey_name=passkey_name(body),
            by=actor_of(request),
        )
    except RefusedError as error:
        raise BadRequestError(error.message) from error
    begin_session(request, passkey)
    return _look_at(request, tenant, "access:recovery_codes")


@public
@limited(ENROLMENT)
@endpoint
def join_accept(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """Join as who is signed in here."""
    if not is_verified(request):
        raise LinkNotValidError
    try:
        tenant = accept(token=text(body, "token"), user=cast(User, request.user), by=actor_of(request))
    except RefusedError as error:
        raise BadRequestError(error.message) from error
    request.session.cycle_key()  # the session may do more now than the one that its id was given for
    return _look_at(request, tenant, settings.LOGIN_REDIRECT_URL)


def _look_at(request: HttpRequest, tenant: Tenant, following: str) -> dict[str, Any]:
    request.session[CHOSEN] = tenant.id
    return {"next": resolve_url(following)}


def _invitation(body: dict[str, Any]) -> Invitation:
    invitation = live_invitation(text(body, "token"))
    if invitation is None:
        raise LinkNotValidError
    return invitation


def _has_account(invitation: Invitation) -> bool:
    return User.objects.filter(email=invitation.email).exists()


def _person_name(body: dict[str, Any]) -> str:
    try:
        return clean_name(text(body, "person"), what="person")
    except RefusedError as error:
        raise BadRequestError(
            "Write your name, as others shall see it: on one line, at most 120 characters."
        ) from error
