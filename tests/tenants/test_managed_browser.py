"""Tenants, projects, taking over and the leak check in Chromium, in both themes and on a phone.

With SPENDOPS_TEST_SCREENSHOTS=FOLDER the walk leaves its pictures there.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tenants.actions.keys import issue_key
from tenants.actions.projects import change_project, create_project
from tenants.actions.tenants import change_tenant, create_tenant, set_quotas, suspend_tenant
from tenants.models import ApiKey, Tenant
from tenants.scope import across_tenants
from tests.chromium import Window
from tests.looking import look_here
from tests.tenants.making import SOMEBODY, issue, project_of_name
from tests.tenants.test_takeover import OLD, digest

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


def surprises(window: Window) -> list[str]:
    """What the console complained of, but for refused forms (422) and for spend, whose engine does not run here."""
    return [each for each in window.complaints if "status of 422" not in each and "status of 503" not in each]


@pytest.fixture
def acme(admin_window) -> Tenant:
    """The admin's own tenant with some life in it, and others beside it."""
    tenant = Tenant.objects.get()
    change_tenant(tenant=tenant, name="Example Corp", tags={"region": "emea", "tier": "gold"}, by=SOMEBODY)
    for name, zone, currency in (("Globex", "Europe/Berlin", "EUR"), ("Initech", "America/New_York", "USD")):
        made = create_tenant(name=name, time_zone=zone, currency=currency, by=SOMEBODY)
        issue(made, "Billing bot")
    set_quotas(tenant=Tenant.objects.get(name="Globex"), keys_most=25, projects_most=5, by=SOMEBODY)
    suspend_tenant(tenant=Tenant.objects.get(name="Initech"), reason="Invoice of September is unpaid.", by=SOMEBODY)
    support = create_project(tenant=tenant, name="Support assistant", tags={"team": "care"}, by=SOMEBODY)
    change_project(project=support, keys_most=10, by=SOMEBODY)
    create_project(tenant=tenant, name="Search", tags={"team": "search", "stage": "beta"}, by=SOMEBODY)
    return Tenant.objects.get(pk=tenant.pk)


def statuses(tenant: Tenant) -> set[str]:
    with across_tenants("a test looks"):
        return set(ApiKey.objects.filter(tenant=tenant).values_list("status", flat=True))


def test_a_tenant_is_suspended_and_resumed_with_the_passkey(admin_window, acme):
    window, page = admin_window, admin_window.page
    page.goto("/tenants")
    expect(page.locator("tbody tr")).to_have_count(3)
    assert look_here(page, "tenants") == {}
    page.get_by_role("link", name="Globex").click()
    expect(page.locator("h1")).to_have_text("Globex")
    assert look_here(page, "tenant") == {}
    button = page.get_by_role("button", name="Suspend “Globex”")
    page.get_by_label("Type “Globex”").fill("globex")
    page.get_by_label("Why").fill("Invoice of October is unpaid.")
    button.click()
    expect(page.get_by_text("That is not its name")).to_be_visible()
    assert page.get_by_label("Why").input_value() == "Invoice of October is unpaid."
    page.get_by_label("Type “Globex”").fill("Globex")
    button.click()
    expect(page.get_by_text("“Globex” is suspended: the gateway refuses its keys from now on.")).to_be_visible()
    assert Tenant.objects.get(name="Globex").status == "suspended"
    assert look_here(page, "tenant-suspended") == {}
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_text("This tenant is suspended.")).to_be_visible()
    page.goto(f"/tenants/{Tenant.objects.get(name='Globex').id}")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("“Globex” is active again")).to_be_visible()
    page.get_by_role("link", name="Change").click()
    expect(page.locator("h1")).to_have_text("Change “Globex”")
    assert look_here(page, "tenant-change") == {}
    page.goto("/tenants/new")
    assert look_here(page, "tenant-new") == {}
    assert surprises(window) == []


def test_projects_and_settings_are_sound(admin_window, acme):
    window, page = admin_window, admin_window.page
    page.goto("/projects")
    assert look_here(page, "projects") == {}
    page.get_by_role("link", name="Support assistant").click()
    expect(page.locator("h1")).to_have_text("Support assistant")
    assert look_here(page, "project") == {}
    page.get_by_label("Why").first.fill("Runaway script.")
    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_text("The gateway refuses calls with this project's keys.")).to_be_visible()
    assert look_here(page, "project-suspended") == {}
    page.get_by_role("link", name="Change").click()
    expect(page.locator("h1")).to_have_text("Change “Support assistant”")
    assert look_here(page, "project-change") == {}
    page.goto("/projects?q=nothing")
    assert look_here(page, "projects-nothing") == {}
    page.goto("/settings")
    assert look_here(page, "settings") == {}
    assert surprises(window) == []


def test_keys_are_taken_over_then_leak_and_are_revoked(admin_window, acme):
    window, page = admin_window, admin_window.page
    page.goto("/keys/take-over")
    assert look_here(page, "take-over") == {}
    page.get_by_role("textbox", name="List").fill("name,sha256\nBilling bot,sk-the-key-itself\n,\n")
    page.get_by_role("button", name="Check the list").click()
    expect(page.get_by_text("put these right first")).to_be_visible()
    assert look_here(page, "take-over-faults") == {}
    page.get_by_role("textbox", name="List").fill(
        f"name,sha256,project,env,allowed_models\nBilling bot,{digest()},Search,prod,gpt-4o*|claude-*\n"
        f"Nightly report,{digest('other')},Support assistant,dev,\n"
    )
    page.get_by_role("button", name="Check the list").click()
    expect(page.get_by_text("2 keys would be taken over")).to_be_visible()
    assert look_here(page, "take-over-plan") == {}
    page.get_by_role("button", name="Take over 2 keys").click()
    expect(page.get_by_text("2 keys taken over")).to_be_visible()

    page.goto("/keys/leaks")
    assert look_here(page, "leaks") == {}
    ours = issue_in(acme, "Default")
    page.get_by_role("textbox", name="Text").fill(
        f"2026-11-21 INFO started\nexport LITELLM_KEY={OLD}\ncurl -H 'x-api-key: {ours}'\n"
    )
    page.get_by_role("button", name="Look for keys").click()
    expect(page.get_by_text("2 keys found")).to_be_visible()
    assert OLD not in page.content()
    assert look_here(page, "leaks-found") == {}
    page.get_by_label("Type how many keys to revoke").fill("2")
    page.get_by_role("button", name="Revoke 2 keys").click()
    expect(page.get_by_text("2 keys revoked: the gateway refuses them from now on.")).to_be_visible()
    assert statuses(acme) == {"active", "revoked"}
    page.get_by_role("textbox", name="Text").fill("nothing to see\n")
    page.get_by_role("button", name="Look for keys").click()
    expect(page.get_by_text("No key of this tenant is in the text.")).to_be_visible()
    assert look_here(page, "leaks-none") == {}
    assert surprises(window) == []


def issue_in(tenant: Tenant, project: str) -> str:
    found = project_of_name(tenant, project)
    return issue_key(tenant=tenant, project=found, name="Checkout", env="prod", by=SOMEBODY).text
