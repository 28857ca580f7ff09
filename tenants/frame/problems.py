"""Every refusal of the API is a problem document (RFC 9457), also those that Django itself makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError, HttpError, ValidationError
from pydantic import Field

from access.problems import problem
from tenants.errors import (
    AlreadyIssuedError,
    ManyRefusedError,
    NameTakenError,
    QuotaError,
    RefusedError,
    StaleError,
    StatusError,
)

log = structlog.get_logger(__name__)

PREFIX = "/api/"
MEDIA_TYPE = "application/problem+json"

# What is said where only a status is known: Django's own refusals, and errors of ours that nobody foresaw.
_WORDS = {
    400: ("bad_request", "The request could not be read: send a JSON object as the API's description says."),
    401: ("sign_in_required", "Send a service token as “Authorization: Bearer sot_…”, or sign in with a passkey."),
    403: ("forbidden", "This is not allowed."),
    404: ("not_found", "There is nothing at this address."),
    412: ("stale", "Somebody changed this meanwhile: look at it, then send your change again."),
    405: ("method_not_allowed", "This address does not know this method: see the header Allow."),
    413: ("too_large", "The request is too large."),
    415: ("unsupported_media_type", "Send JSON."),
    500: ("internal_error", "Something went wrong here. The request id names it in the logs."),
    503: ("unavailable", "A part of the service does not answer. Try again in a moment."),
}


class FieldProblem(Schema):
    """One thing that is wrong with a request."""

    location: str = Field(description="body, query, path or header", examples=["body"])
    field: str = Field(description="Which field, with a dot before what is inside it.", examples=["expires_at"])
    detail: str = Field(examples=["The expiry lies in the past: choose a later moment."])


class Problem(Schema):
    """Why a request was refused (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(description="The status in words.", examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    code: str = Field(description="What programs compare.", examples=["invalid_request"])
    detail: str = Field(description="What people read.", examples=["The request does not fit: see errors."])
    errors: list[FieldProblem] | None = Field(default=None, description="Each thing that is wrong with the input.")


class ApiProblem(Exception):
    """A refusal on the way to an operation."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers = headers or {}


def answer(
    status: int,
    code: str = "",
    detail: str = "",
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """A problem document; words for the status are found when none are given."""
    known = _WORDS.get(status) or (f"http_{status}", HTTPStatus(status).phrase)
    response = problem(status, code or known[0], detail or known[1], **({"errors": list(errors)} if errors else {}))
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response


def install(api: NinjaAPI) -> None:
    """Let the API answer all that operations raise with problem documents."""
    api.add_exception_handler(ApiProblem, _api_problem)
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(RefusedError, _refused)
    api.add_exception_handler(AuthenticationError, lambda request, error: answer(401))
    api.add_exception_handler(HttpError, _http_error)
    api.add_exception_handler(Http404, lambda request, error: answer(404))
    api.add_exception_handler(Exception, _unforeseen)


def _http_error(request: HttpRequest, error: Any) -> HttpResponse:
    return answer(error.status_code)


def _api_problem(request: HttpRequest, error: Any) -> HttpResponse:
    return answer(error.status, error.code, error.detail, headers=error.headers)


def _invalid(request: HttpRequest, error: Any) -> HttpResponse:
    """The input is never repeated: it may hold a secret."""
    found = [_field_problem(each["loc"], each["msg"]) for each in error.errors]
    return answer(422, "invalid_request", "The request does not fit: see errors.", errors=found)


def _field_problem(loc: Sequence[Any], message: str) -> dict[str, str]:
    location, *rest = (str(part) for part in loc)
    inner = rest[1:] if location == "body" and len(rest) > 1 else rest  # the argument's own name says nothing
    return {"location": location, "field": ".".join(inner), "detail": f"{message.removeprefix('Value error, ')}."}


def _refused(request: HttpRequest, error: Any) -> HttpResponse:
    conflict = isinstance(error, AlreadyIssuedError | NameTakenError | StatusError | StaleError | QuotaError)
    code = next(
        (code for kind, code in _CODES.items() if isinstance(error, kind)), "conflict" if conflict else "refused"
    )
    errors = [{"location": "body", "field": error.field, "detail": error.message}] if error.field else []
    if isinstance(error, ManyRefusedError):
        errors = [
            {"location": "body", "field": f"{each.line}.{each.field}".rstrip("."), "detail": each.message}
            for each in error.faults
        ]
    return answer(409 if conflict else 422, code, error.message, errors=errors)


_CODES = {StaleError: "stale", QuotaError: "quota_used_up"}


def _unforeseen(request: HttpRequest, error: Any) -> HttpResponse:
    log.error("api_error", path=request.path, exc_info=error)
    return answer(500)


class ApiAnswersMiddleware:
    """Under /api/ everything is JSON, and nothing is cached unless its view says so; what Django itself refuses becomes
    a problem.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if not request.path.startswith(PREFIX):
            return response
        if response.status_code >= 400 and not response.headers.get("Content-Type", "").startswith(MEDIA_TYPE):
            response = _as_problem(response)
        if response.status_code == 401:
            response.headers.setdefault("WWW-Authenticate", 'Bearer realm="SpendOps"')
        for name, value in getattr(request, "rate_headers", {}).items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def _as_problem(response: HttpResponseBase) -> HttpResponse:
    made = answer(response.status_code)
    for name, value in response.headers.items():
        if name not in ("Content-Type", "Content-Length", "Content-Language"):
            made.headers[name] = value
    made.cookies = response.cookies
    return made
