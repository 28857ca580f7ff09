"""Passkeys in a real browser: the pages, their script, and what a person is told when something does not work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.urls import include, path
from playwright.sync_api import expect

from access.models import Passkey, Session
from access.session_engine import CONFIRMED_AT, SessionStore
from access.step_up import step_up_required
from changes.actor import Actor
from tenants.bootstrap import bootstrap_admin
from tenants.permissions import signed_in
from tests.chromium import SECURITY_KEY, Window
from tests.looking import look_around, look_here

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

PAGE = """<!doctype html><html lang="en"><head><title>Try</title><meta name="csrf-token" content="{token}">
<meta name="htmx-config" content='{{"includeIndicatorCSS": false}}'>
<script src="/static/vendor/htmx/htmx.min.js" defer></script><script src="/static/js/app.js" defer></script>
<script src="/static/access/passkey.js" defer></script></head><body>
<form id="bound" method="post" action="/try/bound?of=1" data-step-up="bound">
 <input type="hidden" name="csrfmiddlewaretoken" value="{token}">
 <textarea name="note" aria-label="Note"></textarea><button name="button" value="raise">Raise</button></form>
<form id="fresh" method="post" action="/try/fresh" data-step-up>
 <input type="hidden" name="csrfmiddlewaretoken" value="{token}">
 <input name="name" aria-label="Name"><button>Issue</button></form>
<form id="htmx" hx-post="/try/bound" hx-target="#result" data-step-up="bound">
 <input name="note" aria-label="Fragment"><button>Send</button></form><p id="result"></p></body></html>"""


@signed_in
def shown(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE.format(token=get_token(request)))


@signed_in
@step_up_required(bound=True)
def bound(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"bound: {request.POST.get('note')!r} {request.POST.get('button', '')}")


@signed_in
@step_up_required
def fresh(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"fresh: {request.POST['name']}")


urlpatterns = [
    path("try", shown),
    path("try/bound", bound),
    path("try/fresh", fresh),
    path("", include(django_settings.ROOT_URLCONF)),
]


@pytest.fixture(autouse=True)
def _pages_to_try(settings):
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def window(browser, site, settings) -> Iterator[Window]:
    """A window in which nobody is signed in."""
    settings.LOGIN_REDIRECT_URL = "/passkeys"
    window = Window(browser, site)
    yield window
    window.close()


def new_token() -> str:
    return bootstrap_admin(by=Actor.system("tests")).token


def forget_confirmations() -> None:
    """As if the last ceremony of every session were long ago."""
    for row in Session.objects.all():
        row.session_data = SessionStore().encode(row.get_decoded() | {CONFIRMED_AT: 0})
        row.save()


def test_enrol_sign_out_sign_in_and_confirm(window):
    page = window.page
    page.goto(f"/enrol#{new_token()}")
    expect(page.get_by_text("admin@localhost")).to_be_visible()
    page.get_by_label("Name of this passkey").fill("Work laptop")
    page.get_by_role("button", name="Create the passkey").click()
    page.wait_for_url("**/recovery-codes")
    page.get_by_role("link", name="Later").click()
    expect(page.get_by_text("Work laptop").first).to_be_visible()

    page.get_by_label("Account: Admin").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")

    page.goto("/passkeys")
    page.wait_for_url("**/sign-in?next=%2Fpasskeys")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/passkeys")

    forget_confirmations()
    security_key = window.add_authenticator(SECURITY_KEY)
    page.get_by_label("Name", exact=True).fill("Security key")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("Passkey “Security key” added")).to_be_visible()

    window.remove_authenticator(security_key)
    forget_confirmations()
    page.get_by_text("Change Security key").click()
    page.get_by_role("button", name="Remove “Security key”").click()
    expect(page.get_by_text("Passkey “Security key” removed")).to_be_visible()
    assert Passkey.objects.count() == 1
    assert window.complaints == []


def test_a_device_that_holds_a_passkey_says_so(admin_window):
    page = admin_window.page
    page.get_by_label("Name", exact=True).fill("Again")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("This device holds a passkey of this account already")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Again")


def test_a_fresh_person_is_not_asked_again(admin_window):
    used = admin_window.credentials()[0]["signCount"]
    admin_window.page.goto("/try")
    admin_window.page.get_by_label("Name").fill("checkout")
    admin_window.page.get_by_role("button", name="Issue").click()
    expect(admin_window.page.get_by_text("fresh: checkout")).to_be_visible()
    assert admin_window.credentials()[0]["signCount"] == used


def test_a_bound_form_asks_each_time_and_sends_what_was_typed(admin_window):
    page = admin_window.page
    for _ in range(2):
        used = admin_window.credentials()[0]["signCount"]
        page.goto("/try")
        page.get_by_label("Note").fill("one\ntwo “ü” & <b>")
        page.get_by_role("button", name="Raise").click()
        expect(page.get_by_text("bound: 'one\\r\\ntwo “ü” & ' raise")).to_be_visible()
        assert admin_window.credentials()[0]["signCount"] == used + 1
    assert admin_window.complaints == []


def test_a_form_that_htmx_sends_is_confirmed_as_well(admin_window):
    page = admin_window.page
    page.goto("/try")
    page.get_by_label("Fragment").fill("in place")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#result")).to_have_text("bound: 'in place'")
    assert page.url.endswith("/try")
    assert admin_window.complaints == []


def test_a_cancelled_confirmation_changes_nothing_and_loses_nothing(admin_window):
    page = admin_window.page
    page.goto("/try")
    forget_confirmations()
    admin_window.user_verifies(False)
    page.get_by_label("Name").fill("checkout")
    page.get_by_role("button", name="Issue").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed: try again.")
    expect(page.get_by_label("Name")).to_have_value("checkout")
    admin_window.user_verifies(True)
    page.get_by_role("button", name="Issue").click()
    expect(page.get_by_text("fresh: checkout")).to_be_visible()


def test_a_session_that_ended_while_a_form_was_filled_in(admin_window):
    page = admin_window.page
    page.goto("/try")
    page.get_by_label("Name").fill("checkout")
    Session.objects.all().delete()
    page.get_by_role("button", name="Issue").click()
    expect(page.get_by_role("alert")).to_contain_text("What you typed is still here")
    expect(page.get_by_role("link", name="Sign in")).to_have_attribute("target", "_blank")

    # signing in in another tab rotates the CSRF token; the form of this tab goes through all the same
    tab = admin_window.open_tab()
    tab.goto("/sign-in")
    tab.get_by_role("button", name="Sign in with a passkey").click()
    tab.wait_for_url("**/passkeys")

    page.get_by_role("button", name="Issue").click()
    expect(page.get_by_text("fresh: checkout")).to_be_visible()


def test_a_used_link_and_half_a_link_say_so(admin_window):
    page = admin_window.context.new_page()
    page.goto("/enrol#" + "A" * 43)
    expect(page.get_by_text("This link is not valid any more")).to_be_visible()
    page.goto("/sign-in")
    page.goto("/enrol")
    expect(page.get_by_text("This address lacks the part after the #")).to_be_visible()


def test_another_address_of_the_same_machine_names_the_right_one(window, site):
    port = site.rpartition(":")[2]
    window.page.goto(f"http://127.0.0.1:{port}/enrol#secret")
    alert = window.page.get_by_role("alert")
    expect(alert).to_contain_text("Passkeys belong to one address, and this is not it")
    expect(alert.get_by_role("link")).to_have_attribute("href", f"{site}/enrol#secret")


def test_a_browser_without_passkeys_is_told_so(window):
    window.page.add_init_script("delete window.PublicKeyCredential")
    window.page.goto("/sign-in")
    expect(window.page.get_by_role("alert")).to_contain_text("This browser cannot use passkeys")


def test_pages_are_readable_by_everybody(window):
    page = window.page
    assert look_around(window, {"sign-in": "/sign-in"}) == {}
    page.goto(f"/enrol#{new_token()}")
    expect(page.get_by_text("admin@localhost")).to_be_visible()
    assert look_here(page, "enrol") == {}
    page.get_by_role("button", name="Create the passkey").click()
    page.get_by_role("link", name="Later").click()
    expect(page.locator("h1")).to_have_text("Passkeys")
    page.locator("summary", has_text="Change").click()
    assert look_here(page, "passkeys-first") == {}
    assert window.complaints == []
