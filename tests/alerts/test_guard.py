from __future__ import annotations

import ipaddress
import socket
from urllib.request import Request

import pytest

from alerts.guard import ForbiddenAddressError, check_url, is_public, open_guarded
from tests.alerts.receivers import webhook_server


@pytest.mark.parametrize("address", ["1.1.1.1", "52.94.76.1", "2606:4700:4700::1111"])
def test_public_addresses(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",  # a cloud's metadata
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",  # mapped
        "::ffff:10.0.0.1",
        "2002:7f00:1::",  # 6to4 of 127.0.0.1
        "64:ff9b::a9fe:a9fe",  # NAT64 of 169.254.169.254
    ],
)
def test_addresses_that_lead_inside(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "http://example.com/",
        "https://exa mple.com/",
        "https://a@example.com/",
        "https://example.com:0/",
        "https://example.com:port/",
        "https://[::1",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:127.0.0.1]/",
    ],
)
def test_urls_that_are_refused_by_their_form(url):
    with pytest.raises(ForbiddenAddressError):
        check_url(url)


@pytest.fixture
def resolver(monkeypatch):
    """Names that resolve as a test says, and every address that was connected to."""
    names: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        if host not in names:
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in names[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return names


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.5"]])
def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(resolver, settings, addresses):
    with webhook_server() as hook:
        port = hook.url.split(":")[2].split("/")[0]
        resolver["inside.example"] = addresses
        with pytest.raises(ForbiddenAddressError, match="not on the Internet"):
            open_guarded(Request(f"https://inside.example:{port}/x", data=b"{}"))
        assert hook.tries == 0


def test_private_addresses_are_allowed_by_the_setting(settings):
    settings.ALLOW_PRIVATE_WEBHOOKS = True
    with webhook_server() as hook:
        status, _, body = open_guarded(Request(hook.url, data=b"{}"))
    assert (status, body) == (200, b"ok")


def test_an_endless_answer_is_cut(settings):
    settings.ALLOW_PRIVATE_WEBHOOKS = True
    with webhook_server() as hook:
        hook.body = "x" * 1_000_000
        _, _, body = open_guarded(Request(hook.url, data=b"{}"))
    assert len(body) < 100_000


def test_a_proxy_of_the_environment_is_not_asked(settings, monkeypatch):
    settings.ALLOW_PRIVATE_WEBHOOKS = True
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with webhook_server() as hook:
        assert open_guarded(Request(hook.url, data=b"{}"))[0] == 200
