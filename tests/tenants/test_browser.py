"""A key's first minutes in Chromium: issued, copied, gone after a reload, revoked; every page free of complaints."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tenants.models import ApiKey, Tenant
from tenants.scope import tenant_scope
from tests.looking import look_here
from wire.keys import parse_key

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


def test_a_key_is_issued_copied_and_revoked(admin_window):
    window, page = admin_window, admin_window.page
    window.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/keys")
    page.locator("main").get_by_role("link", name="Issue a key").first.click()
    expect(page.locator("h1")).to_have_text("Issue a key")
    assert look_here(page, "first-key-issue") == {}
    page.get_by_label("Name").fill("First key")
    page.get_by_role("button", name="Issue the key").click()

    expect(page.locator("h1")).to_have_text("“First key” is issued")
    key = page.get_by_label("API key").input_value()
    assert parse_key(key) is not None
    page.locator(".copy-field").get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == key
    for tab in ("Python · openai", "Python · anthropic", "Environment variables", "curl"):
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.get_by_role("tabpanel")).to_contain_text(key)
    assert look_here(page, "first-key-issued") == {}

    page.reload()
    expect(page.get_by_text("“First key” was issued already")).to_be_visible()
    assert key not in page.content()
    with tenant_scope(Tenant.objects.get().id):
        assert ApiKey.objects.count() == 1

    assert look_here(page, "first-key-issued-already") == {}
    page.get_by_role("link", name="Revoke").click()
    expect(page.locator("h1")).to_have_text("Revoke “First key”")
    assert look_here(page, "first-key-revoke") == {}
    page.get_by_label("Type the key's name").fill("First")
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("That is not the name of this key.")).to_be_visible()
    page.get_by_label("Type the key's name").fill("First key")
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("“First key” is revoked")).to_be_visible()
    with tenant_scope(Tenant.objects.get().id):
        assert ApiKey.objects.get().status == ApiKey.Status.REVOKED
    assert window.complaints == []


def test_projects_and_settings_are_sound(admin_window):
    window, page = admin_window, admin_window.page
    page.goto("/projects")
    page.get_by_role("link", name="Default", exact=True).click()
    expect(page.locator("h1")).to_have_text("Default")
    assert look_here(page, "first-project") == {}
    page.get_by_role("link", name="Change").click()
    expect(page.locator("h1")).to_have_text("Change “Default”")
    assert look_here(page, "first-project-change") == {}
    page.get_by_label("Name").fill("Support")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Project “Support” is saved.")).to_be_visible()
    page.goto("/settings")
    assert look_here(page, "first-settings") == {}
    page.get_by_label("Time zone").select_option("Asia/Kolkata")
    page.get_by_label("Reporting currency").select_option("INR")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The settings are saved.")).to_be_visible()
    page.goto("/publishing")
    assert look_here(page, "first-publishing") == {}
    assert window.complaints == []
