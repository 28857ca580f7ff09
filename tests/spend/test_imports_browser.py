"""Imports and invoices in Chromium: from the file to what it brought, both themes, wide and narrow, no complaint."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from spend.importing.run import work_off_all
from spend.rollup import recount
from tenants.models import Tenant
from tests.looking import look_around, look_here
from tests.pricing.catalogues import catalogue, listed, provider
from tests.pricing.conftest import sync_and_approve
from tests.spend.customer import Customer
from tests.spend.imports import page as report
from tests.spend.test_reconciling import FIXTURE, MODELS, plant

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def customer(admin_window, clickhouse) -> Customer:
    names = [*MODELS, "gpt-4o-mini", "gpt-4o"]
    sync_and_approve(
        catalogue(provider("openai", *(listed(name, input=1_000_000, output=4_000_000) for name in names)))
    )
    Tenant.objects.update(name="Example Corp")
    return Customer(Tenant.objects.get(), zone="Asia/Kolkata")


def test_a_file_is_handed_in_checked_confirmed_and_withdrawn(admin_window, customer, tmp_path):
    page = admin_window.page
    customer.call(datetime(2026, 11, 1, 9, tzinfo=UTC), units={"input": 1_000_000}, cost="1")
    results = [
        {"num_model_requests": 42, "input_tokens": 9_000_000, "output_tokens": 120_000},
        {"num_model_requests": 7, "input_tokens": 400_000, "output_tokens": 90_000, "model": "gpt-4o"},
        {"num_model_requests": 1, "input_tokens": 1, "input_cached_tokens": 5, "model": "gpt-4o"},
    ]
    file = tmp_path / "usage-november.json"
    file.write_bytes(report(*results))
    page.goto("/imports")
    page.get_by_role("link", name="Import a file").first.click()
    page.get_by_label("What it is").select_option("openai_usage")
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("Being checked")).to_be_visible()
    work_off_all(seconds=60)
    expect(page.get_by_role("heading", name="What would come in")).to_be_visible()
    assert look_here(page, "import-checked") == {}
    page.get_by_role("button", name="Import 2 rows").click()
    expect(page.get_by_text("Being imported")).to_be_visible()
    work_off_all(seconds=60)
    recount()
    expect(page.get_by_role("heading", name="What came of it")).to_be_visible()
    assert look_here(page, "import-done") == {}
    assert admin_window.complaints == []
    done = page.url
    assert look_around(admin_window, {"imports": "/imports", "import-new": "/imports/new"}) == {}
    page.goto(done)
    page.get_by_role("button", name="Withdraw this import").click()
    expect(page.get_by_text("Being withdrawn")).to_be_visible()
    work_off_all(seconds=60)
    expect(page.get_by_text("Withdrawn", exact=True)).to_be_visible()


def test_an_invoice_is_compared(admin_window, customer):
    page = admin_window.page
    plant(customer)
    page.goto("/reconcile/new")
    page.get_by_label("What it is").select_option("invoice")
    page.get_by_label("File", exact=True).set_input_files(FIXTURE)
    page.get_by_label("Provider").fill("openai")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Invoice of openai")).to_be_visible()
    expect(page.locator("#invoice-chart .barlayer .trace.bars")).to_have_count(2)
    page.get_by_role("link", name="Late").click()
    expect(page.get_by_role("link", name="midnight").first).to_be_visible()
    address = page.url.partition("?")[0]
    pages = {"reconcile": "/reconcile", "reconcile-new": "/reconcile/new", "reconciled": address}
    assert look_around(admin_window, pages) == {}
