"""Deny by default: every address of the product is closed to strangers, unless it stands in this file."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, include, path
from django.views.decorators.csrf import csrf_exempt

from access.gates import is_public
from tenants.permissions import signed_in
from tests.browsing import Person

OPEN_TO_ANYBODY = {
    "health",
    "ready",
    "access:sign_in",
    "access:sign_in_begin",
    "access:sign_in_finish",
    "access:session",
    "access:enrol",
    "access:enrol_look",
    "access:enrol_begin",
    "access:enrol_finish",
    "access:recover",
    "access:redeem",
    "spend:report_unsubscribe",
    "tenants:join",
    "tenants:join_look",
    "tenants:join_begin",
    "tenants:join_finish",
    "tenants:join_accept",
}
SAMPLES = {"int": "1", "uuid": "00000000-0000-7000-8000-000000000000"}  # whatever else is a text


def addresses(
    patterns: list[URLPattern | URLResolver], before: str = "/", namespace: str = ""
) -> Iterator[tuple[str, str, URLPattern]]:
    """Every address that the resolver knows, as (name, path with sample arguments, pattern)."""
    for pattern in patterns:
        path = before + re.sub(r"<(?:(\w+):)?\w+>", lambda found: SAMPLES.get(found[1], "x"), str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from addresses(pattern.url_patterns, path, inner)
        else:
            yield f"{namespace}{pattern.name}", path, pattern


def every_address() -> list[tuple[str, str, URLPattern]]:
    return list(addresses(get_resolver().url_patterns))


def test_the_walk_finds_the_product():
    names = {name for name, _, _ in every_address()}
    assert {"home", "access:passkeys", "tenants:keys", "api:openapi-json"} <= names


def test_what_is_open_to_anybody_is_listed_here():
    assert {name for name, _, pattern in every_address() if is_public(pattern.callback)} == OPEN_TO_ANYBODY


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options"])
def test_every_address_is_closed_to_strangers(db, method):
    for name, address, _ in every_address():
        if name in OPEN_TO_ANYBODY:
            continue
        assert getattr(Client(), method)(address).status_code == 401, address
        browser = getattr(Client(headers={"accept": "text/html"}), method)(address)
        if address.startswith("/api/"):
            assert browser.status_code == 401, address
        else:
            assert (browser.status_code, browser.url.split("?")[0]) == (302, "/sign-in"), address


def test_a_program_is_told_401_as_a_problem_document(db):
    answer = Client().get("/api/v1/openapi.json")
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "sign_in_required"


def test_an_api_address_that_does_not_exist_tells_a_stranger_nothing(db, ravi):
    assert Client().get("/api/v1/no-such-thing").status_code == 401
    assert ravi.get("/api/v1/no-such-thing").status_code == 404


def test_a_browser_comes_back_to_where_it_was(db):
    browser = Client(headers={"accept": "text/html"})
    assert browser.get("/keys?status=active").url == "/sign-in?next=%2Fkeys%3Fstatus%3Dactive"
    posted = browser.post("/sign-out", headers={"referer": "http://testserver/keys?from=1"})
    assert posted.url == "/sign-in?next=%2Fkeys%3Ffrom%3D1"
    foreign = browser.post("/sign-out", headers={"referer": "https://evil.example/"})
    assert foreign.url == "/sign-in"


def test_a_fragment_sends_the_whole_page_to_the_sign_in(db):
    page = "http://testserver/spend?period=month"
    answer = Client().get("/keys", headers={"hx-request": "true", "hx-current-url": page})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?next=%2Fspend%3Fperiod%3Dmonth"


def test_a_person_without_a_verified_passkey_is_a_stranger(ravi):
    session = ravi.session
    del session["otp_device_id"]
    session.save()
    assert ravi.get("/passkeys").url == "/sign-in?next=%2Fpasskeys"


def test_there_are_no_passwords(ravi):
    assert not ravi.user.has_usable_password()
    assert not ravi.user.check_password("")
    assert "password" not in {field.name for field in ravi.user._meta.get_fields()}
    with pytest.raises(NotImplementedError, match="passkey"):
        ravi.user.set_password("secret")
    assert settings.AUTHENTICATION_BACKENDS == ["access.backends.PasskeyBackend"]
    assert not Client().login(username=ravi.user.email, password="")


@signed_in
@csrf_exempt
def exempt(request: HttpRequest) -> HttpResponse:
    return HttpResponse("done")


urlpatterns = [path("api/v1/exempt", exempt), path("", include(settings.ROOT_URLCONF))]


def test_an_exempt_view_needs_the_csrf_token_of_a_session(settings, ravi):
    """The API's views are exempt from Django's own check; a page of another site must not write through them."""
    settings.ROOT_URLCONF = __name__
    browser = Person(enforce_csrf_checks=True)
    browser.cookies = ravi.cookies
    assert browser.get("/api/v1/exempt").status_code == 200
    forged = browser.post("/api/v1/exempt")
    assert (forged.status_code, forged.json()["code"]) == (403, "csrf_failed")
    token = browser.get("/session").json()["csrf"]
    assert browser.post("/api/v1/exempt", headers={"x-csrftoken": token}).content == b"done"
