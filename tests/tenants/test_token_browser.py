"""A service token's first minutes in Chromium, in both themes and on a phone."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from tenants.tokens import parse_token
from tests.looking import look_here

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


def test_a_token_is_issued_copied_used_and_revoked(admin_window, site):
    window, page = admin_window, admin_window.page
    window.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/tokens")
    assert look_here(page, "tokens-nothing") == {}
    page.locator("main").get_by_role("link", name="Issue a token").first.click()
    expect(page.locator("h1")).to_have_text("Issue a service token")
    page.get_by_role("button", name="Issue the token").click()
    expect(page.get_by_text("Write a name.").first).to_be_visible()
    assert look_here(page, "token-refused") == {}
    page.get_by_label("Name").fill("Nightly report")
    page.get_by_label("spend.view", exact=True).check()
    page.get_by_label("keys.revoke").check()
    page.get_by_role("button", name="Issue the token").click()

    expect(page.locator("h1")).to_have_text("“Nightly report” is issued")
    text = page.get_by_label("Service token").input_value()
    assert parse_token(text) is not None
    page.locator(".copy-field").get_by_role("button", name="Copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == text
    assert look_here(page, "token-issued") == {}
    headers = {"Authorization": f"Bearer {text}"}
    me = httpx.get(f"{site}/api/v1/users/me", headers=headers)
    assert (me.status_code, me.json()["permissions"]) == (200, ["keys.revoke", "spend.view"])

    page.goto("/tokens")
    page.get_by_text("2 scopes").click()
    expect(page.get_by_text("confirmed by passkey")).to_be_visible()
    page.get_by_text("Revoke Nightly report").click()
    assert look_here(page, "tokens") == {}
    page.get_by_role("button", name="Revoke “Nightly report”").click()
    expect(page.get_by_text("the API refuses it from now on")).to_be_visible()
    assert httpx.get(f"{site}/api/v1/users/me", headers=headers).status_code == 401
    assert window.complaints == []
