"""Who calls the API: a service token, or a person's session that a passkey stands behind. Each is let in by operation.

A token opens nothing but the API. A request that carries one is the token's alone: its cookies do not count.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja.security.base import AuthBase

from access import limits, step_up
from access.addresses import client_address
from access.gates import is_verified
from changes.actor import Actor
from tenants.actions.tokens import note_use
from tenants.frame.problems import PREFIX, ApiProblem, answer
from tenants.http import TenantRequest
from tenants.models import ServiceToken, Tenant
from tenants.permissions import PLATFORM_WIDE, Needs, Permission, roles_with
from tenants.scope import across_tenants, tenant_scope
from tenants.tokens import DANGEROUS, parse_token, token_digest

TENANT_HEADER = "X-SpendOps-Tenant"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class ServiceTokenMiddleware:
    """Recognises the token of an API request and opens its tenant's scope. Stands after CurrentTenantMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not request.path.startswith(PREFIX):
            return self._get_response(request)
        token = token_of(text.strip())
        if token is None:
            said = "This service token is not known, expired or revoked. Issue another one on the page Service tokens."
            challenge = {"WWW-Authenticate": 'Bearer realm="SpendOps", error="invalid_token"'}
            return answer(401, "invalid_token", said, headers=challenge)
        note_use(token=token)
        tenant = token.tenant or _named_tenant(request)
        _take_over(request, token, tenant)
        if tenant is None:
            return self._get_response(request)
        with tenant_scope(tenant.id):
            return self._get_response(request)


def token_of(text: str) -> ServiceToken | None:
    """The token with this text while it works."""
    public_id = parse_token(text)
    if public_id is None:
        return None
    with across_tenants("whose token this is, is what is asked"):
        token = ServiceToken.objects.select_related("tenant").filter(id=public_id).first()
    if token is None or not hmac.compare_digest(token.hash, token_digest(text)):
        return None
    return cast(ServiceToken, token) if token.status == "active" else None


def _named_tenant(request: HttpRequest) -> Tenant | None:
    """The tenant that a token of every tenant means in this request."""
    return Tenant.objects.filter(id=request.headers.get(TENANT_HEADER, "")[:32].replace("\0", "")).first()


def _take_over(request: HttpRequest, token: ServiceToken, tenant: Tenant | None) -> None:
    known = cast(Any, request)
    known.user = AnonymousUser()
    known.user.is_verified = lambda: False
    known.service_token, known.tenant, known.membership = token, tenant, None
    known.permissions, known.platform_admin = frozenset(Permission(each) for each in token.scopes), False
    known.actor = Actor(
        "service_token", token.id, role="service_token", address=client_address(request), request_id=known.id
    )


def token_behind(request: HttpRequest) -> ServiceToken | None:
    """The service token that a request of the API carries."""
    return getattr(request, "service_token", None)


class Door(AuthBase):
    """Lets a caller through to one operation. What the operation needs is checked before its input is looked at."""

    def __init__(self, needs: Needs, *, people_only: bool) -> None:
        super().__init__()
        self.needs, self._people_only = needs, people_only

    def _allow(self, request: TenantRequest, *, key: str) -> None:
        spend_one(request, key)
        wanted = self.needs.to_read if request.method in SAFE_METHODS else self.needs.to_write
        if not wanted:
            return
        if request.tenant is None and not wanted & request.permissions & PLATFORM_WIDE:
            raise ApiProblem(
                403,
                "no_tenant",
                f"This concerns a tenant, and none is chosen: a token of all tenants names it in {TENANT_HEADER}.",
            )
        if not wanted & request.permissions:
            self._refuse(request, wanted)

    def _refuse(self, request: TenantRequest, wanted: frozenset[Permission]) -> None:
        scopes = " or ".join(sorted(wanted))
        if token_behind(request):
            raise ApiProblem(403, "scope_required", f"The token lacks the scope {scopes}. Nothing was changed.")
        roles = " or ".join(role.label for role in roles_with(wanted))
        raise ApiProblem(403, "permission_required", f"This needs the role {roles}. Nothing was changed.")

    def _is_dangerous(self, request: HttpRequest) -> bool:
        return request.method not in SAFE_METHODS and bool(self.needs.to_write & DANGEROUS)


class ServiceTokenAuth(Door):
    """A service token in the header Authorization."""

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_bearerFormat = "sot_<id>_<secret>"
    openapi_description = "A service token: scoped, expiring, for the API only."

    def __call__(self, request: HttpRequest) -> Any:
        token = token_behind(request)
        if token is None:
            return None
        self._allow(cast(TenantRequest, request), key=f"token {token.id}")
        if self._people_only:
            raise ApiProblem(403, "person_required", "This concerns a person: sign in with a passkey.")
        if self._is_dangerous(request) and not self.needs.to_write & {
            Permission(each) for each in token.confirmed_scopes
        }:
            raise ApiProblem(
                403,
                "confirmed_scope_required",
                "Nobody confirmed this scope with a passkey when the token was issued, so it does not suffice here. "
                "Nothing was changed.",
            )
        return token


class PasskeySession(Door):
    """A person's session."""

    openapi_type = "apiKey"
    openapi_in = "cookie"
    openapi_name = settings.SESSION_COOKIE_NAME
    openapi_description = "A session begun with a passkey. Writing needs the CSRF token of /session as X-CSRFToken."

    def __call__(self, request: HttpRequest) -> Any:
        if not is_verified(request):
            return None
        self._allow(cast(TenantRequest, request), key=f"user {request.user.pk}")
        if self._is_dangerous(request) and not step_up.is_fresh(request):
            raise ApiProblem(
                403,
                step_up.CODE,
                "Confirm with your passkey, then send this again. Nothing was changed.",
                headers={step_up.HEADER: "required"},
            )
        return request.user


class Undeclared(AuthBase):
    """Stands before an operation that does not say what it needs: nobody passes."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __call__(self, request: HttpRequest) -> Any:
        raise ApiProblem(403, "forbidden", "Nobody may call this.")


def spend_one(request: TenantRequest, key: str) -> None:
    """Count one request of a caller. Raises ApiProblem 429 when there were too many within a minute."""
    limit = limits.Limit(settings.API_REQUESTS_PER_MINUTE, 60)
    wait = limits.take(f"api {key}", limit)
    left, full_in = (0, wait) if wait else limits.left(f"api {key}", limit)
    headers = {
        "RateLimit-Limit": str(limit.attempts),
        "RateLimit-Remaining": str(left),
        "RateLimit-Reset": str(full_in),
    }
    cast(Any, request).rate_headers = headers
    if wait:
        raise ApiProblem(
            429,
            "too_many_requests",
            f"More than {limit.attempts} requests in a minute. Try again in {wait} s.",
            headers={"Retry-After": str(wait)},
        )
