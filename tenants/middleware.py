"""The tenant that a request is about: found from who is signed in, and put into scope while the request is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from access.gates import is_public
from changes.actor import Actor
from tenants.http import TenantRequest
from tenants.queries import standing_of
from tenants.scope import tenant_scope

CHOSEN = "tenant_id"  # the session's key for the tenant that was picked in the sidebar

# Pages that concern no tenant: one's own passkeys and sessions, and the root's way home.
_WITHOUT_TENANT = ("access", "")


class CurrentTenantMiddleware:
    """Sets `request.tenant`, `membership`, `actor` and `platform_admin`, and opens the tenant's scope.

    Nothing is set (None) and no scope is open for whoever is not signed in with a passkey.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        empty = cast(Any, request)
        empty.tenant = empty.membership = empty.actor = None
        empty.platform_admin = False
        if not (request.user.is_authenticated and request.user.is_verified()):
            return self._get_response(request)
        known = cast(TenantRequest, request)
        standing = standing_of(known.user, chosen=request.session.get(CHOSEN, ""))
        role = standing.membership.role if standing else ""
        known.actor = Actor("user", str(known.user.pk), role=role, address=_address(request), request_id=known.id)
        if standing is None:
            return self._get_response(request)
        known.tenant, known.membership, known.platform_admin = standing
        with tenant_scope(known.tenant.id):
            response = self._get_response(request)
        if isinstance(response, StreamingHttpResponse) and not isinstance(response, FileResponse):
            _keep_scope(response, known.tenant.id)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Whoever is signed in and belongs to no tenant is told so, on every page that shows a tenant's data."""
        match = request.resolver_match
        if is_public(view) or match is None or match.app_name in _WITHOUT_TENANT:
            return None
        if cast(TenantRequest, request).tenant is not None or not request.user.is_authenticated:
            return None
        return render(request, "tenants/no_tenant.html", status=403)


def _address(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))[:45]


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
