"""C14: what every answer carries, errors too; that no form is taken without its token; a walk without a violation."""

from __future__ import annotations

import re
import secrets

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path

from tests.access.test_gates import OPEN_TO_ANYBODY, every_address
from tests.browsing import Person
from tests.looking import sideways
from tests.tenants.making import service_token

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def assert_headers(response: HttpResponse, where: str) -> None:
    headers = response.headers
    found = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";") if part.strip())
    assert found == POLICY, where
    assert headers["X-Content-Type-Options"] == "nosniff", where
    assert headers["X-Frame-Options"] == "DENY", where
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin", where
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin", where
    assert headers["Referrer-Policy"] in ("same-origin", "no-referrer"), where
    policy = headers["Permissions-Policy"]
    assert "publickey-credentials-get=(self)" in policy, where
    assert {"camera=()", "microphone=()", "geolocation=()", "payment=()"} <= set(policy.split(", ")), where
    assert re.fullmatch(r"[0-9A-Za-z_-]{8,64}", headers["X-Request-Id"]), where


def test_c14_every_address_answers_with_the_headers_to_whoever_asks(admin_client, clickhouse):
    stranger, program = Client(), Client(headers={"accept": "text/html"})
    for name, address, _ in every_address():
        for who, client in (("admin", admin_client), ("stranger", stranger), ("browser", program)):
            response = client.get(address)
            where = f"{who} {name} {address} {response.status_code}"
            assert response.status_code < 500, where
            assert_headers(response, where)
            if address.startswith("/api/"):
                kept = name in ("state:get_catalog", "state:get_selection", "state:put_selection")
                compared = kept and response.status_code == 200
                assert response.headers["Cache-Control"] == ("private, no-cache" if compared else "no-store"), where


@pytest.mark.parametrize("address", ["/tokens/issue", "/keys/issue", "/recovery-codes"])
def test_c14_pages_that_show_a_secret_are_not_kept_and_their_forms_go_through(admin_client, address):
    response = admin_client.get(address)
    assert "no-store" in response.headers["Cache-Control"]
    assert response.headers["Referrer-Policy"] == "same-origin", "else browsers send Origin: null, which CSRF refuses"


@pytest.mark.parametrize("address", ["/enrol", "/join", "/recover", "/sign-in"])
def test_c14_pages_opened_by_a_secret_tell_nobody_where_they_were_and_are_not_kept(admin_client, address):
    for client in (admin_client, Client(headers={"accept": "text/html"})):
        response = client.get(address)
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "no-store" in response.headers["Cache-Control"]


def breaks(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a detail that nobody may read")


def suspicious(request: HttpRequest) -> HttpResponse:
    raise SuspiciousOperation("a detail that nobody may read")


for view in (breaks, suspicious):
    view._anybody_may_open = True  # type: ignore[attr-defined]

urlpatterns = [
    path("try/breaks", breaks),
    path("try/suspicious", suspicious),
    path("api/v1/try/breaks", breaks),
    path("", include(django_settings.ROOT_URLCONF)),
]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/try/breaks", 500),
        ("/try/suspicious", 400),
        ("/no/such/page", 404),
        ("/api/v1/try/breaks", 500),
        ("/api/v1/no-such-thing", 404),
    ],
)
def test_c14_error_pages_carry_the_headers_and_tell_nothing(admin_client, settings, address, status):
    settings.ROOT_URLCONF = __name__
    admin_client.raise_request_exception = False
    response = admin_client.get(address)
    assert response.status_code == status
    assert_headers(response, address)
    assert b"nobody may read" not in response.content
    if address.startswith("/api/"):
        assert response.headers["Content-Type"] == "application/problem+json"
    else:
        assert re.search(rb"(<script(?![^>]*src=)|<style| style=| on\w+=)", response.content) is None


def test_c14_a_host_that_is_not_ours_is_refused_with_the_headers(db):
    response = Client(raise_request_exception=False).get("/sign-in", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert_headers(response, "another host")


def test_c14_nothing_is_taken_without_the_csrf_token(admin_client):
    browser = Person(enforce_csrf_checks=True, raise_request_exception=False)
    browser.cookies = admin_client.cookies
    for name, address, _ in every_address():
        if name in (
            "health",
            "ready",
            "spend:report_unsubscribe",
        ):  # the last shows by its signed link whose wish it is
            continue
        for headers in ({}, {"x-csrftoken": secrets.token_hex(16)}):
            response = browser.post(address, {}, headers=headers)
            assert response.status_code == 403, f"{name} {address}"
            assert_headers(response, f"{name} {address}")
    assert OPEN_TO_ANYBODY - {"health", "ready"}, "those that anybody may open are among them"


def test_c14_a_service_token_needs_none(db, admin_client):
    """No browser sends it by itself, so that no page of another site can make one write."""
    text = service_token(admin_client.tenant).text
    program = Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {text}"})
    assert program.post("/api/v1/projects", {"name": "x"}, content_type="application/json").status_code == 201


def test_c14_https_is_kept_to_in_production(admin_client, settings):
    settings.SECURE_HSTS_SECONDS = 31_536_000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = settings.SECURE_SSL_REDIRECT = True
    plain = Client().get("/sign-in")
    assert (plain.status_code, plain.url) == (301, "https://testserver/sign-in")
    assert plain.headers["X-Request-Id"]  # what stands outside of Django's redirect has seen it, too
    assert "default-src 'none'" in plain.headers["Content-Security-Policy"]
    for address in ("/sign-in", "/api/v1/users/me", "/no/such/page"):
        response = Client().get(address, secure=True)
        assert response.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_c14_a_walk_through_the_pages_violates_nothing(admin_window):
    """The sidebar is walked in `tests/spend/test_pages_browser.py`; here the pages of people, tokens and errors."""
    window, page = admin_window, admin_window.page
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation',"
        " event => console.error('violation', event.violatedDirective, event.blockedURI))"
    )
    pages = ("/passkeys", "/sessions", "/members", "/tokens", "/tokens/issue", "/audit", "/keys/issue", "/settings")
    for address in pages:
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            answer = page.goto(address)
            assert answer is not None
            assert answer.status == 200, address
            assert sideways(page) <= 0, address
    assert window.complaints == []
    assert page.goto("/no/such/page").status == 404
    window.complaints.clear()  # Chromium itself notes the 404
    page.goto("/sign-in")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.bad = 1\">')")
    page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.bad = 1'; document.body.append(s); 1"
    )
    assert page.evaluate("window.bad") is None
    assert any("violation" in said for said in window.complaints), "the walk would have seen a violation"
