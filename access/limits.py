"""Token buckets: how often somebody may try. They count attempts of an address and of a browser's session, never those
against an account, so that nobody is locked out by what others do.

A bucket holds `attempts` tokens and is filled again, evenly, within `seconds`. It is kept as the moment at which it
will be full (GCRA), so that taking a token is one conditional UPDATE, whatever else happens at that moment.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from hashlib import sha256
from typing import Any, TypeVar, cast

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.http import HttpRequest, HttpResponse

from access.addresses import client_address, neighbourhood
from access.models import Bucket
from access.problems import problem
from access.rules import span

_SECOND = 1_000_000  # microseconds

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Limit:
    """So many attempts within so many seconds, whether all at once or one after another."""

    attempts: int
    seconds: int

    @property
    def interval(self) -> int:
        """Microseconds until a token that was taken is back."""
        return self.seconds * _SECOND // self.attempts


@dataclass(frozen=True)
class Limits:
    """What one kind of attempt is limited to: from one address, which a whole office may share, and in one session."""

    name: str
    address: Limit
    session: Limit


CEREMONIES = Limits("ceremony", address=Limit(120, 60), session=Limit(30, 60))
ENROLMENT = Limits("enrolment", address=Limit(60, 60), session=Limit(20, 60))
RECOVERY = Limits("recovery", address=Limit(10, 900), session=Limit(5, 900))


def limited(limits: Limits) -> Callable[[View], View]:
    """Answer 429 with Retry-After, and leave the view alone, when there were too many attempts."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            wait = seconds_to_wait(request, limits)
            return too_many(wait) if wait else view(request, *args, **kwargs)

        return cast(View, guarded)

    return decorate


def seconds_to_wait(request: HttpRequest, limits: Limits) -> int:
    """Take one token for this request. 0 when there was one, else in how many seconds there will be."""
    places = [("address", neighbourhood(client_address(request)), limits.address)]
    session = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    if session:
        places.append(("session", session, limits.session))
    return max(take(f"{limits.name} {kind} {place}", limit) for kind, place, limit in places)


def take(what: str, limit: Limit) -> int:
    """Take a token from the bucket of this name. 0 when there was one, else in how many seconds there will be."""
    key, now = sha256(what.encode()).hexdigest(), time.time_ns() // 1000
    latest = now + limit.seconds * _SECOND - limit.interval  # one that is full later has less than one token
    full_again = Greatest(F("full_at"), Value(now)) + Value(limit.interval)
    if Bucket.objects.filter(key=key, full_at__lte=latest).update(full_at=full_again):
        return 0
    bucket = Bucket.objects.filter(key=key).first()
    if bucket is None:
        Bucket.objects.filter(full_at__lt=now).delete()  # a full bucket is as good as none
        try:
            with transaction.atomic():
                Bucket.objects.create(key=key, full_at=now + limit.interval)
        except IntegrityError:
            return take(what, limit)  # another request made it just now
        return 0
    if bucket.full_at <= latest:
        return take(what, limit)  # likewise, between our UPDATE and our SELECT
    return math.ceil((bucket.full_at - latest) / _SECOND)


def left(what: str, limit: Limit) -> tuple[int, int]:
    """How many tokens the bucket of this name holds, and in how many seconds it will be full."""
    key, now = sha256(what.encode()).hexdigest(), time.time_ns() // 1000
    full_at = Bucket.objects.filter(key=key).values_list("full_at", flat=True).first() or now
    missing = max(full_at - now, 0)
    return max((limit.seconds * _SECOND - missing) // limit.interval, 0), math.ceil(missing / _SECOND)


def too_many(wait: int) -> HttpResponse:
    """429: when to come back, as a header and in words."""
    response = problem(429, "too_many_attempts", f"Too many attempts from here. Try again in {span(wait)}.")
    response.headers["Retry-After"] = str(wait)
    return response
