"""The one NinjaAPI with a description that says all: refusals as problem documents, headers, who is let in."""

from __future__ import annotations

from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from tenants.frame.callers import Undeclared
from tenants.frame.problems import MEDIA_TYPE, install

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_HEADERS: dict[str, Any] = {
    "X-Request-Id": {
        "schema": _TEXT,
        "required": True,
        "description": "Names this request in logs and the audit trail.",
    },
    "RateLimit-Limit": {"schema": _COUNT, "description": "Requests a minute."},
    "RateLimit-Remaining": {"schema": _COUNT, "description": "How many are left at this moment."},
    "RateLimit-Reset": {"schema": _COUNT, "description": "Seconds until all are back."},
    "Idempotent-Replayed": {"schema": _TEXT, "description": "“true” on an answer that is given again."},
    "WWW-Authenticate": {"schema": _TEXT, "required": True, "description": "How to say who calls."},
    "Retry-After": {"schema": _COUNT, "required": True, "description": "Seconds to wait."},
}
_EVERYWHERE = ("X-Request-Id", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_AT = {"201": ["Idempotent-Replayed"], "401": ["WWW-Authenticate"], "429": ["Retry-After"]}


class FramedAPI(NinjaAPI):
    """Open to nobody by default; an operation is declared with `tenants.frame.operations.operation()`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(auth=Undeclared(), docs_url=None, **kwargs)
        install(self)

    def get_openapi_schema(self, **kwargs: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(**kwargs)
        for methods in schema["paths"].values():
            for operation in methods.values():
                operation["parameters"] = [_parameter(each) for each in operation["parameters"]]
                operation["responses"] = {
                    str(status): _described(str(status), answer) for status, answer in operation["responses"].items()
                }
        schema["components"]["headers"] = _HEADERS
        return schema


def _described(status: str, answer: dict[str, Any]) -> dict[str, Any]:
    content = answer.get("content", {})
    if status >= "400":
        content = {MEDIA_TYPE: next(iter(content.values()))}
    names = [*_EVERYWHERE, *_AT.get(status, [])]
    found = answer | {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}}
    return found | {"content": content} if content else found


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI wants a parameter's examples by name; ninja copies JSON Schema's list, which stays in the schema."""
    return {name: value for name, value in parameter.items() if name != "examples"}
