"""Step-up: a signed-in person confirms with a passkey, for a few minutes or for one particular request."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpRequest

from access import actions, queries
from access.actors import actor_of
from access.ceremonies import ask_assertion
from access.challenges import keep_confirmation
from access.limits import CEREMONIES, limited
from access.models import Ceremony, User
from access.rules import action_hash
from access.sessions import CONFIRMATION, renew_session
from access.step_up import is_fresh
from access.views.endpoints import BadRequestError, begin, endpoint, finish

SPARE = 10  # seconds: time to send the form that the freshness is asked for


@limited(CEREMONIES)
@endpoint
def step_up_begin(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """`{}` asks for a fresh confirmation; `{"action": {method, path, query, fields}}` for one of that request."""
    user = cast(User, request.user)
    action = _action(body["action"]) if body.get("action") is not None else ""
    if not action and is_fresh(request, margin=SPARE):
        return {"fresh": True}
    asked = ask_assertion(known=queries.known_credentials(user))
    return {"fresh": False} | begin(request, asked, Ceremony.Purpose.STEP_UP, user=user, action=action)


@limited(CEREMONIES)
@endpoint
def step_up_finish(request: HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    user = cast(User, request.user)
    ceremony = finish(request, Ceremony.Purpose.STEP_UP, user=user)
    passkey = actions.use_passkey(
        answer=body.get("credential"),
        challenge=bytes(ceremony.challenge),
        kind="user.confirmed",
        user=user,
        by=actor_of(request),
    )
    renew_session(request, passkey)
    if ceremony.action:
        request.session[CONFIRMATION] = keep_confirmation(user=user, action=ceremony.action)
    return {"fresh": True}


def _action(described: Any) -> str:
    """The hash of the request that the script is about to send. Raises BadRequestError."""
    try:
        fields = [(name, value) for name, value in described["fields"]]
        parts = (
            described["method"],
            described["path"],
            described["query"],
            *(part for pair in fields for part in pair),
        )
    except (TypeError, ValueError, KeyError) as error:
        raise BadRequestError("An action has a method, a path, a query and fields.") from error
    if not all(isinstance(part, str) for part in parts):
        raise BadRequestError("An action's method, path, query and fields are text.")
    return action_hash(method=parts[0], path=parts[1], query=parts[2], fields=fields)
