"""The ledger's pages in Chromium: both themes, wide and narrow, without a complaint; and what a person does there.

With SPENDOPS_TEST_SCREENSHOTS=FOLDER the walk leaves its pictures there (`python -m tests.screenshots FOLDER`).
"""

from __future__ import annotations

import pytest
from django.core.cache import cache
from playwright.sync_api import expect

from publishing.models import KvEntry, Reconciliation
from publishing.republish import start_republish
from publishing.tasks import compare_as_asked
from tenants.actions.keys import disable_key, revoke_key
from tenants.models import Tenant
from tests.chromium import Window
from tests.looking import look_around
from tests.publishing.ledgers import eventful, park
from tests.tenants.making import SOMEBODY, issue
from wire.documents import key_document

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]


@pytest.fixture
def tenant(admin_window: Window) -> Tenant:
    cache.clear()
    Tenant.objects.update(name="Example Corp")
    return Tenant.objects.get()


def test_every_page_without_a_complaint(admin_window: Window, tenant, stores, publisher):
    page = admin_window.page
    stores.name({"prod": [stores.embedded("prod"), stores.embedded("prod", "second")]})
    publisher = stores.publisher()

    def ready(_: str) -> None:
        expect(page.get_by_text("Asking the gateways")).to_have_count(0)
        expect(page.get_by_text("Reading the stores")).to_have_count(0)

    pages = {
        "publishing-empty": "/publishing",
        "publishing-writes-empty": "/publishing/writes",
        "publishing-trouble-none": "/publishing/trouble",
        "publishing-comparisons-none": "/publishing/comparisons",
    }
    found = look_around(admin_window, pages, themes=["light"], ready=ready)
    cache.clear()
    keys = eventful(tenant, stores, publisher)
    start_republish(env="prod", by=SOMEBODY)
    pages = {
        "publishing": "/publishing",
        "publishing-writes": "/publishing/writes",
        "publishing-writes-narrowed": "/publishing/writes?env=dev&about=key&search=search",
        "publishing-writes-nothing": "/publishing/writes?search=nope",
        "publishing-trouble": "/publishing/trouble",
        "publishing-comparisons": "/publishing/comparisons",
        "publishing-document-key": f"/publishing/documents/dev/key:{keys['search ranking'].id}",
        "publishing-document-prices": "/publishing/documents/dev/pricing:blob",
        "publishing-document-parked": f"/publishing/documents/dev/key:{keys['too large'].id}",
        "publishing-document-tenant": f"/publishing/documents/prod/tenant:{tenant.id}",
    }
    found |= look_around(admin_window, pages, ready=ready)
    publisher.close()
    assert page.locator("h1").count() == 1
    assert found == {}


def test_the_overview_follows_by_itself_and_keeps_what_was_opened(admin_window: Window, tenant, stores, publisher):
    key = issue(tenant, name="bot").key
    publisher.once()
    page = admin_window.page
    page.goto("/publishing")
    page.get_by_text("Publish everything of dev anew").click()
    expect(page.get_by_text("It costs one write a document.").first).to_be_visible()
    expect(page.get_by_text("Asking the gateways")).to_have_count(0)
    page.get_by_role("tab", name="Table").click()
    revoke_key(key=key, by=SOMEBODY)
    publisher.once()
    expect(page.get_by_text("API key · revoked")).to_be_visible()
    expect(page.get_by_text("It costs one write a document.").first).to_be_visible()
    expect(page.get_by_role("region", name="Table of writes by hour")).to_be_visible()
    expect(page.get_by_text("not reachable").first).to_be_visible()
    assert admin_window.complaints == []


def test_the_pages_of_a_key_and_a_tenant_say_what_the_gateway_knows(admin_window: Window, tenant, stores, publisher):
    key = issue(tenant, name="bot").key
    publisher.once()
    page = admin_window.page
    page.goto(f"/tenants/{tenant.id}")
    expect(page.get_by_text("The gateway knows rev 1")).to_have_count(2)
    page.goto(f"/keys/{key.id}")
    expect(page.get_by_text("The gateway knows rev 1, published")).to_be_visible()
    disable_key(key=key, by=SOMEBODY)
    page.reload()
    expect(page.get_by_text("The gateway still knows rev 1.")).to_be_visible()
    publisher.once()
    expect(page.get_by_text("The gateway knows rev 2, published")).to_be_visible()
    page.get_by_role("link", name="What the gateway knows").click()
    expect(page.get_by_text("Desired state, rev 2")).to_be_visible()
    assert admin_window.complaints == []


def test_a_person_retries_what_is_parked_and_sees_it_go(admin_window: Window, tenant, stores, publisher):
    key = issue(tenant, name="bot").key
    refused = park(stores, publisher, key)
    page = admin_window.page
    page.goto("/publishing/trouble")
    expect(page.get_by_text("413: the value is too large")).to_be_visible()
    refused.clear()
    page.get_by_role("button", name="Send bot again now").click()
    expect(page.get_by_text("is sent again.")).to_be_visible()
    publisher.once()
    expect(page.get_by_text("Nothing is wrong")).to_be_visible()
    assert KvEntry.objects.get(key=key_document(key.hash)).published_rev == 1
    assert admin_window.complaints == []


def test_a_held_repair_is_confirmed_with_the_passkey_for_exactly_it(admin_window: Window, tenant, stores, publisher):
    eventful(tenant, stores, publisher)
    page = admin_window.page
    page.goto("/publishing/trouble")
    page.get_by_role("button", name="Confirm exactly this repair").click()
    expect(page.get_by_text("is repaired within the minute")).to_be_visible()
    held = Reconciliation.objects.get(status=Reconciliation.Status.HELD)
    assert held.confirmed_at
    page.get_by_role("button", name="Publish exactly this").click()
    expect(page.get_by_text("pricing:blob is published.")).to_be_visible()
    assert admin_window.complaints == []


def test_a_comparison_that_is_asked_for_appears_by_itself(admin_window: Window, tenant, stores, publisher):
    issue(tenant)
    publisher.once()
    page = admin_window.page
    page.goto("/publishing/comparisons")
    expect(page.get_by_text("Nothing compared yet")).to_be_visible()
    page.get_by_role("button", name="of dev now").click()
    expect(page.get_by_text("Comparing …")).to_be_visible()
    compare_as_asked()
    expect(page.get_by_text("As SQL says")).to_be_visible()
    expect(page.get_by_text("Comparing …")).to_have_count(0)
    assert admin_window.complaints == []
