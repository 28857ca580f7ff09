"""The tenant that a request is about: found from who is signed in, and put into scope while the request is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from access.addresses import client_address
from access.gates import is_public
from access.problems import problem, wants_html
from changes.actor import Actor
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs_of, permissions_of, roles_with
from tenants.queries import standing_of
from tenants.scope import tenant_scope

CHOSEN = "tenant_id"  # the session's key for the tenant that was picked in the sidebar

# One's own account needs no role, and the API checks each of its operations on its own (one address has several).
_CHECKED_BY_THEMSELVES = (["access"], ["ninja"])


class UnmarkedViewError(RuntimeError):
    """A view does not say what it needs. In production it is refused with 403 instead."""


class CurrentTenantMiddleware:
    """Sets `request.tenant`, `membership`, `actor` and `platform_admin`, and opens the tenant's scope.

    Nothing is set (None) and no scope is open for whoever is not signed in with a passkey.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        empty = cast(Any, request)
        empty.tenant = empty.membership = empty.actor = None
        empty.permissions, empty.platform_admin = frozenset(), False
        if not (request.user.is_authenticated and request.user.is_verified()):
            return self._get_response(request)
        known = cast(TenantRequest, request)
        standing = standing_of(known.user, chosen=request.session.get(CHOSEN, ""))
        role = standing.membership.role if standing else ""
        known.actor = Actor("user", str(known.user.pk), role=role, address=client_address(request), request_id=known.id)
        if standing is None:
            return self._get_response(request)
        known.tenant, known.membership, known.platform_admin = (
            standing.tenant,
            standing.membership,
            standing.platform_admin,
        )
        known.permissions = permissions_of(standing.roles)
        with tenant_scope(known.tenant.id):
            response = self._get_response(request)
        if isinstance(response, StreamingHttpResponse) and not isinstance(response, FileResponse):
            _keep_scope(response, known.tenant.id)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Deny by default: what a view needs is checked before it runs, and one that does not say is refused.

        Whoever is signed in and belongs to no tenant is told so, on every page that shows a tenant's data.
        """
        match = request.resolver_match
        if is_public(view) or match is None or match.app_names[:1] in _CHECKED_BY_THEMSELVES:
            return None
        wanted = needs_of(view)
        if wanted is None:
            if not settings.PRODUCTION:
                raise UnmarkedViewError(
                    f"{match.view_name} says not who may open it: mark it with @needs or @signed_in."
                )
            return forbidden(request, frozenset())
        if not wanted.to_read:
            return None
        known = cast(TenantRequest, request)
        if known.tenant is None:
            return no_tenant(request)
        missing = wanted.missing(request.method, known.permissions)
        return forbidden(request, missing) if missing else None


def forbidden(request: HttpRequest, missing: frozenset[Permission]) -> HttpResponse:
    """The answer to somebody inside the tenant whose role does not allow this. Nothing was done."""
    roles = [role.label for role in roles_with(missing)]
    if not wants_html(request):
        who = f"This needs the role {' or '.join(roles)}." if roles else "Nobody may open this."
        return problem(403, "permission_required", f"{who} Nothing was changed.")
    return render(request, "tenants/not_allowed.html", {"roles": roles}, status=403)


def no_tenant(request: HttpRequest) -> HttpResponse:
    """The answer to somebody who belongs to no tenant."""
    if not wants_html(request):
        return problem(403, "no_tenant", "You belong to no tenant: ask an admin to invite you.")
    return render(request, "tenants/no_tenant.html", status=403)


def _keep_scope(response: StreamingHttpResponse, tenant_id: str) -> None:
    """A stream is read after the scope was closed: open it around each chunk, never between two."""
    if not response.is_async:
        response.streaming_content = _scoped(cast(Iterable[bytes], response.streaming_content), tenant_id)


def _scoped(chunks: Iterable[bytes], tenant_id: str) -> Iterator[bytes]:
    iterator = iter(chunks)
    while True:
        with tenant_scope(tenant_id):
            try:
                chunk = next(iterator)
            except StopIteration:
                return
        yield chunk
