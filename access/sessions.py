"""A browser's session: begun at sign-in, renewed at step-up, and what is remembered in it."""

from __future__ import annotations

import time

from django.contrib.auth import login
from django.http import HttpRequest
from django.utils import timezone
from django_otp import login as verified_by

from access.actors import actor_of
from access.lifetimes import lifetime_of
from access.models import Passkey, Session
from access.session_engine import ADDRESS, AGENT, CONFIRMED_AT, SEEN_AT, SIGNED_IN_AT

CEREMONY = "ceremony"  # the id of the ceremony under way
CONFIRMATION = "confirmation"  # the id of a confirmed request that has not come yet


def begin_session(request: HttpRequest, passkey: Passkey) -> None:
    """Sign the passkey's person in, under a new session id with nothing left of the session before."""
    request.session.flush()
    login(request, passkey.user, backend="access.backends.PasskeyBackend")
    verified_by(request, passkey)
    request.session.set_expiry(lifetime_of(passkey.user).absolute)
    now = time.time()
    request.session[SIGNED_IN_AT] = request.session[SEEN_AT] = request.session[CONFIRMED_AT] = now
    request.session[ADDRESS] = actor_of(request).address
    request.session[AGENT] = request.headers.get("User-Agent", "")[:200]
    Session.objects.filter(expire_date__lt=timezone.now()).delete()  # nobody else clears the table


def renew_session(request: HttpRequest, passkey: Passkey) -> None:
    """Note that the person has just confirmed with a passkey, under a new session id."""
    request.session.cycle_key()
    verified_by(request, passkey)
    request.session[CONFIRMED_AT] = request.session[SEEN_AT] = time.time()
