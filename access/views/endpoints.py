"""What the JSON endpoints of the ceremonies have in common. The page's script is their only caller."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from access.actions import CodeNotValidError, LastPasskeyError, LinkNotValidError, PasskeyKnownError
from access.addresses import client_address
from access.ceremonies import Asked, CeremonyRefusedError
from access.challenges import open_ceremony, take_ceremony
from access.forms import PasskeyNameForm
from access.models import Ceremony, User
from access.problems import problem
from access.sessions import CEREMONY

log = structlog.get_logger(__name__)

Endpoint = Callable[[HttpRequest, dict[str, Any]], dict[str, Any] | HttpResponse]


class BadRequestError(Exception):
    """The script sent something that the person can put right. The text is shown."""


def endpoint(function: Endpoint) -> Callable[[HttpRequest], HttpResponse]:
    """A POST endpoint that takes and gives a JSON object. Every refused ceremony gets one and the same answer."""

    @never_cache
    @require_POST
    @wraps(function)
    def answer(request: HttpRequest) -> HttpResponse:
        try:
            body = json.loads(request.body or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return problem(400, "not_json", "Send a JSON object.")
        try:
            result = function(request, body)
        except CeremonyRefusedError as error:
            request.session.modified = False  # the refusal may have ended this session, which is not to be saved then
            log.warning("ceremony_refused", address=client_address(request), reason=str(error))
            return problem(400, "ceremony_refused", "The passkey was not accepted. Try again.")
        except LinkNotValidError:
            detail = "This link is not valid any more: links work once and for a limited time. Ask for a new one."
            return problem(404, "link_not_valid", detail)
        except CodeNotValidError:
            log.warning("recovery_refused", address=client_address(request))
            detail = "This code is not valid: it is mistyped, was used already, or newer codes have replaced it."
            return problem(404, "code_not_valid", detail)
        except PasskeyKnownError:
            return problem(409, "passkey_known", "This passkey is enrolled already: sign in with it.")
        except LastPasskeyError:
            return problem(409, "last_passkey", "This is the last passkey: add another one before removing it.")
        except BadRequestError as error:
            return problem(422, "bad_request", str(error))
        if isinstance(result, HttpResponse):
            return result
        return JsonResponse(
            result | {"csrf": get_token(request)}
        )  # signing in changes the token: the page takes it over

    return answer


def begin(
    request: HttpRequest, asked: Asked, purpose: Ceremony.Purpose, *, user: User | None = None, action: str = ""
) -> dict[str, Any]:
    """Start a ceremony in this browser's session; one that was under way ends."""
    request.session[CEREMONY] = open_ceremony(purpose=purpose, challenge=asked.challenge, user=user, action=action)
    return {"options": asked.options}


def finish(request: HttpRequest, purpose: Ceremony.Purpose, *, user: User | None = None) -> Ceremony:
    """The ceremony that this browser's session began. Raises CeremonyRefusedError."""
    return take_ceremony(request.session.pop(CEREMONY, None), purpose=purpose, user=user)


def passkey_name(body: dict[str, Any]) -> str:
    """The name that a new passkey is given. Raises BadRequestError."""
    form = PasskeyNameForm({"name": text(body, "name")})
    if not form.is_valid():
        raise BadRequestError(form.complaint())
    return str(form.cleaned_data["name"])


def text(body: dict[str, Any], name: str) -> str:
    """A text field of the body; "" for anything else."""
    value = body.get(name, "")
    return value if isinstance(value, str) else ""
