"""How an operation is declared: its address, what it needs, what it answers. What is not declared is open to nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from django.http import HttpResponse
from ninja import NinjaAPI, Router, Schema
from ninja.operation import Operation

from tenants.frame.callers import Door, PasskeySession, ServiceTokenAuth
from tenants.frame.problems import Problem
from tenants.permissions import Needs, Permission, needs, needs_of, signed_in

View = TypeVar("View", bound=Callable[..., Any])

IDEMPOTENCY_PARAMETER = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "schema": {"type": "string", "pattern": "^[!-~]{8,128}$"},
    "description": "Names this very request: sent again within 24 hours it is answered again and not done again.",
}


def operation(
    router: Router,
    method: str,
    path: str,
    *permissions: Permission,
    answers: dict[int, Any],
    people_only: bool = False,
    creates: bool = False,
    conflicts: bool = False,
    also: Sequence[type[Door]] = (),
    parameters: Sequence[dict[str, Any]] = (),
    file_types: Iterable[str] = (),
    summary: str,
) -> Callable[[View], View]:
    """Declare an operation that needs any one of these permissions; with none, being let in is enough.

    `creates` lets it be repeated under an Idempotency-Key; `conflicts` says that the object's state may not allow it;
    `also` names doors beside those of sessions and service tokens; `parameters` describes what the view reads from the
    address by itself; `file_types` are the media types of an answer that is a file. Whether it is
    dangerous follows from the permission (`tenants.tokens.DANGEROUS`): then a person must have confirmed.
    """

    def declare(view: View) -> View:
        marked = needs(*permissions)(view) if permissions else signed_in(view)
        wanted = needs_of(marked) or Needs(frozenset(), frozenset())
        refusals = (
            {400, 401, 403, 422, 429} | ({404} if "{" in path else set()) | ({409} if creates or conflicts else set())
        )
        extra: dict[str, Any] = {"x-permissions": sorted(permissions)}
        if creates or parameters:
            extra["parameters"] = [*([IDEMPOTENCY_PARAMETER] if creates else []), *parameters]
        if file_types:
            extra["responses"] = {200: {"content": {_bare(each): _described(each) for each in file_types}}}
        doors: list[type[Door]] = [ServiceTokenAuth, PasskeySession, *also]
        router.api_operation(
            [method.upper()],
            path,
            auth=[door(wanted, people_only=people_only) for door in doors],
            response={**answers, **dict.fromkeys(sorted(refusals), Problem)},
            operation_id=view.__name__,
            summary=summary,
            openapi_extra=extra,
            exclude_none=False,
        )(marked)
        return marked

    return declare


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0]


def _described(content_type: str) -> dict[str, Any]:
    """JSON is any JSON; everything else is bytes (OpenAPI 3.1, "Considerations for File Uploads")."""
    return {"schema": {} if content_type == "application/json" else {"type": "string", "format": "binary"}}


def created(shown: Schema) -> HttpResponse:
    """The answer of an operation that creates."""
    return answered(shown, status=201)


def answered(shown: Schema, *, status: int) -> HttpResponse:
    """An answer of a status of its own, such as 202 for what is taken in and goes on by itself."""
    return HttpResponse(shown.model_dump_json(), status=status, content_type="application/json; charset=utf-8")


def operations_of(api: NinjaAPI) -> Iterator[tuple[str, str, Operation]]:
    """Every operation as (method, address below the API's root, operation)."""
    for router in api._get_bound_routers():
        for path, view in router.path_operations.items():
            for each in view.operations:
                for method in each.methods:
                    yield (
                        method,
                        "/" + "/".join(part.strip("/") for part in (router.prefix, path) if part.strip("/")),
                        each,
                    )


def undeclared(api: NinjaAPI) -> list[str]:
    """The operations that do not say what they need."""
    return [
        f"{method} {path}"
        for method, path, each in operations_of(api)
        if needs_of(each.view_func) is None or not all(isinstance(door, Door) for door in each.auth_callbacks)
    ]
