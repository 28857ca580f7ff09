"""Requests to addresses that users name: public ones only, checked at the moment of connecting, never redirected.

The name is resolved once, in the connection itself, and what was checked is what is connected to: a name that answers
differently a moment later gains nothing. SPENDOPS_ALLOW_PRIVATE_WEBHOOKS=true allows private addresses and plain HTTP.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

TIMEOUT = 5.0  # seconds, for each step and for the whole answer
ANSWER_LONGEST = 64 * 1024
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class ForbiddenAddressError(Exception):
    """An address that nothing may be sent to. The text says why and what to do."""


def check_url(url: str) -> str:
    """The URL, if its form is acceptable. Raises ForbiddenAddressError. The name is checked again on connecting."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ForbiddenAddressError(
            "That is not a web address: copy the whole address, beginning with https://."
        ) from None
    schemes = ("https", "http") if settings.ALLOW_PRIVATE_WEBHOOKS else ("https",)
    if parts.scheme not in schemes or not parts.hostname:
        raise ForbiddenAddressError("That is not a web address to send to: it must begin with https://.")
    if parts.username is not None or parts.password is not None:
        raise ForbiddenAddressError("The address holds a user name: leave out what stands before the @.")
    if any(letter.isspace() or not letter.isprintable() for letter in url.strip()) or port == 0:
        raise ForbiddenAddressError("The address holds spaces or signs that no address has.")
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return url.strip()
    _check_address(literal)
    return url.strip()


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is one of the Internet's own; an IPv4 address that an IPv6 one carries counts, too."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _check_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if not settings.ALLOW_PRIVATE_WEBHOOKS and not is_public(address):
        raise ForbiddenAddressError(
            f"The address leads to {address}, which is not on the Internet. The operator can allow private addresses "
            "with SPENDOPS_ALLOW_PRIVATE_WEBHOOKS=true."
        )


def _connect(address: tuple[str, int], timeout: Any = TIMEOUT, source_address: Any = None) -> socket.socket:
    """`socket.create_connection` that refuses a name of which any address is not public."""
    found = socket.getaddrinfo(address[0], address[1], type=socket.SOCK_STREAM)
    for *_, sockaddr in found:
        _check_address(ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]))
    last: OSError = OSError("The name has no address.")
    for family, kind, protocol, _, sockaddr in found:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(TIMEOUT)
            connection.connect(sockaddr)
        except OSError as error:
            connection.close()
            last = error
        else:
            return connection
    raise last


class _GuardedHTTPS(http.client.HTTPSConnection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._create_connection = _connect


class _GuardedHTTP(http.client.HTTPConnection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._create_connection = _connect


class _GuardedHandler(urllib.request.HTTPSHandler, urllib.request.HTTPHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_GuardedHTTPS, request, context=ssl.create_default_context())

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_GuardedHTTP, request)


def open_guarded(request: urllib.request.Request) -> tuple[int, Any, bytes]:
    """Send a request: status, headers and body of the answer, whatever the status is.

    Raises ForbiddenAddressError for an address that is not allowed and OSError when the other side cannot be reached
    in time. A proxy of the environment is not used: it would resolve the name anew, past the check.
    """
    check_url(request.full_url)
    # An opener of its own: without urllib's usual handlers nothing follows a redirect or asks a proxy.
    opener = urllib.request.OpenerDirector()
    opener.add_handler(_GuardedHandler())
    response = opener.open(request, timeout=TIMEOUT)
    if response is None:
        raise ForbiddenAddressError("That is not a web address to send to: it must begin with https://.")
    with response:
        return response.status, response.headers, _body(response)


def _body(response: Any) -> bytes:
    """What is read of an answer is bounded in length and in time."""
    until = time.monotonic() + TIMEOUT
    body = b""
    while len(body) < ANSWER_LONGEST:
        part = response.read1(4096)
        if not part:
            return body
        if time.monotonic() > until:
            raise TimeoutError("The answer took too long.")
        body += part
    return body
