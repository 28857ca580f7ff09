"""Who may ask the state service: callers from inside, with the shared token where one is set.

Without a shared token it takes what every operation of the API takes: a session or a service token with the permission.
With one, every request must carry it, and that is enough here; it opens nothing outside of /api/state/.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from access.addresses import client_address
from access.gates import is_verified
from changes.actor import Actor
from tenants.frame.callers import Door, spend_one, token_behind
from tenants.frame.problems import answer
from tenants.http import TenantRequest

ROOT = "/api/state/"
HEADER = "X-State-Service-Token"
ACTOR_KIND, ACTOR_ID = "service", "state-service"

# Loopback and private networks (RFC 1122, RFC 1918, RFC 4193).
_INSIDE = tuple(
    ip_network(each) for each in ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)


class StateServiceMiddleware:
    """Turns away who is not inside or lacks the shared token. Stands after ServiceTokenMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(ROOT):
            return self._get_response(request)
        if not settings.STATE_SERVICE_PUBLIC and not is_inside(request):
            return answer(403, "internal_only", "The state service answers to callers of the private network only.")
        if settings.STATE_SERVICE_SHARED_TOKEN:
            if not _same(request.headers.get(HEADER, ""), settings.STATE_SERVICE_SHARED_TOKEN):
                return answer(401, "state_token_required", f"Send the state service's token in the header {HEADER}.")
            _let_in(cast(Any, request))
        return self._get_response(request)


class SharedToken(Door):
    """The state service's shared token in the header X-State-Service-Token, where one is set."""

    openapi_type = "apiKey"
    openapi_in = "header"
    openapi_name = HEADER
    openapi_description = "A token that all clients of the state service share."

    def __call__(self, request: HttpRequest) -> Any:
        if not getattr(request, "state_service", False):
            return None
        spend_one(cast(TenantRequest, request), f"state service {client_address(request)}")
        return ACTOR_ID


def is_inside(request: HttpRequest) -> bool:
    """Whether a request comes from this machine or a private network.

    One that says that it was forwarded, while no proxy is configured, may come from anywhere.
    """
    forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    if forwarded and not settings.BEHIND_PROXY:
        return False
    try:
        address = ip_address(client_address(request))
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in _INSIDE)


def _let_in(request: Any) -> None:
    """A person or a service token stays who they are, with their own rights; else the state service itself acts."""
    if is_verified(request) or token_behind(request) is not None:
        return
    request.state_service = True
    request.actor = Actor(ACTOR_KIND, ACTOR_ID, address=client_address(request), request_id=request.id)


def _same(given: str, wanted: str) -> bool:
    """Compared as digests, so that the time that it takes tells neither characters nor length."""
    return hmac.compare_digest(sha256(given.encode()).digest(), sha256(wanted.encode()).digest())
