"""The audit page and a key's rotation in Chromium: both themes, wide and narrow, without a complaint."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from changes.models import AuditEvent
from tenants.actions.keys import disable_key, enable_key
from tenants.models import ApiKey, Tenant
from tenants.scope import tenant_scope
from tests.looking import look_here
from tests.tenants.making import SOMEBODY, issue
from wire.keys import parse_key

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


def test_the_trail_is_read_narrowed_and_taken_away(admin_window):
    window, page = admin_window, admin_window.page
    tenant = Tenant.objects.get()
    key = issue(tenant, "checkout-web", allowed_models=["gpt-4o*"]).key
    disable_key(key=key, by=SOMEBODY)
    enable_key(key=key, by=SOMEBODY)
    page.goto("/keys")
    page.get_by_role("link", name="Audit").click()
    expect(page.locator("h1")).to_have_text("Audit")
    assert look_here(page, "audit") == {}
    page.get_by_label("About").fill("checkout-web")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    assert look_here(page, "audit-narrowed") == {}
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    exported = Path(download.value.path()).read_text()
    assert exported.count("checkout-web") >= 3
    assert AuditEvent.objects.filter(kind="audit.exported").count() == 1
    page.get_by_role("link", name="disabled the key checkout-web").click()
    expect(page.locator("del")).to_have_text("active")
    assert look_here(page, "audit-event") == {}
    page.goto("/audit?search=nothing-is-called-that")
    expect(page.get_by_text("Nothing matches these filters")).to_be_visible()
    assert look_here(page, "audit-empty") == {}
    assert window.complaints == []


def test_a_key_is_rotated(admin_window):
    window, page = admin_window, admin_window.page
    key = issue(Tenant.objects.get(), "checkout-web").key
    page.goto(f"/keys/{key.id}")
    assert look_here(page, "key") == {}
    page.get_by_label("The old key works for").select_option("1 more hour")
    page.get_by_role("button", name="Rotate").click()
    new = parse_key(page.get_by_label("API key").input_value())
    expect(page.get_by_text(f"It takes the place of …{key.last_four}, which works until")).to_be_visible()
    assert look_here(page, "key-rotated") == {}
    with tenant_scope(key.tenant_id):
        assert new is not None
        assert ApiKey.objects.get(pk=key.pk).replaced_by == new.public_id
    page.reload()
    expect(page.get_by_text("was rotated already")).to_be_visible()
    assert window.complaints == []
