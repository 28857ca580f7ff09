"""A create that names an `Idempotency-Key` is done once: sent again within a day, it gets the first answer again.

The key belongs to the caller and to that very request. The answer is kept in the transaction of the create itself, so
that there is never one without the other; a second request that comes at the same time waits for the first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from hashlib import sha256
from inspect import signature
from typing import Any, TypeVar, cast

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from tenants.frame.problems import ApiProblem
from tenants.models import KeptAnswer
from wire.envelope import Envelope

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEPT = timedelta(hours=24)
_WELL_FORMED = re.compile(r"[\x21-\x7e]{8,128}")

View = TypeVar("View", bound=Callable[..., HttpResponse])


def idempotent(view: View) -> View:
    """For an operation that creates and returns an HttpResponse: do it once for each Idempotency-Key."""

    @wraps(view)
    def once(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        key = request.headers.get(HEADER)
        if key is None:
            return view(request, *args, **kwargs)
        if not _WELL_FORMED.fullmatch(key):
            raise ApiProblem(
                422, "invalid_idempotency_key", f"{HEADER} is 8 to 128 letters, digits or signs, such as a UUID."
            )
        with transaction.atomic():
            kept, is_new = _claim(request, key)
            if not is_new:
                return _again(kept, key)
            response = view(request, *args, **kwargs)
            kept.sealed = _envelope(key).seal(
                json.dumps([response.status_code, response.content.decode()]), place=_place(kept)
            )
            kept.save(update_fields=["sealed"])
            return response

    # ninja reads annotations with the names of this module, so they are resolved where the view stands
    cast(Any, once).__signature__ = signature(view, eval_str=True)
    return cast(View, once)


def holder_of(request: Any) -> str:
    """Who calls, as a text: a token, or a person in the tenant that is looked at."""
    actor = request.actor
    return f"{actor.kind}:{actor.id}:{request.tenant.id if request.tenant else ''}"


def _claim(request: HttpRequest, key: str) -> tuple[KeptAnswer, bool]:
    """The row of this key, and whether this request made it. A row that another request is making is waited for."""
    holder, digest = holder_of(request), sha256(key.encode()).hexdigest()
    wanted = sha256(f"{request.method} {request.get_full_path()}\n".encode() + request.body).hexdigest()
    KeptAnswer.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
    claim = KeptAnswer(holder=holder, key_sha256=digest, request_sha256=wanted)
    KeptAnswer.objects.bulk_create([claim], ignore_conflicts=True)  # waits for whoever has inserted the same key
    found = KeptAnswer.objects.get(holder=holder, key_sha256=digest)
    if found.request_sha256 != wanted:
        raise ApiProblem(
            409, "idempotency_key_reused", f"This {HEADER} was sent with another request: make a new one for this."
        )
    return found, not found.sealed


def _again(kept: KeptAnswer, key: str) -> HttpResponse:
    status, text = json.loads(_envelope(key).open(kept.sealed, place=_place(kept)))
    response = HttpResponse(text, status=status, content_type="application/json")
    response.headers[REPLAYED] = "true"
    return response


def _envelope(key: str) -> Envelope:
    """Sealed under the caller's own key, too: our database and our secrets together do not open an answer."""
    return Envelope(f"{settings.ENVELOPE_KEY} {key}".encode())


def _place(kept: KeptAnswer) -> str:
    return f"{kept.holder}|answer|{kept.key_sha256}"
