"""Where a request comes from."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

LONGEST = 45


def client_address(request: HttpRequest) -> str:
    """The client's address. Behind a proxy it is what the proxy itself has seen: the right-most of X-Forwarded-For.

    Whatever stands further left was written by the client, who may write anything.
    """
    address = str(request.META.get("REMOTE_ADDR", ""))
    if settings.BEHIND_PROXY:
        address = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or address
    return address[:LONGEST]


def neighbourhood(address: str) -> str:
    """What counts as one place when attempts are counted: an IPv4 address, or the /64 that one IPv6 customer has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ip_network((parsed, 64), strict=False))
