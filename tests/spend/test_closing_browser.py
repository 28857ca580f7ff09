"""Statements and cost centres in Chromium: written, looked at, sealed with the passkey, without a complaint."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from pricing.actions.sync import sync_prices
from pricing.models import ExchangeRate
from pricing.render import pricing_blob
from pricing.sources.genai_prices import GenaiPrices
from spend.closing.actions import seal_month
from spend.closing.drafts import Totals, draft
from spend.closing.months import next_month
from spend.cost_centres.actions import change_cost_centres
from spend.cost_centres.rules import Book, Centre, Rule
from spend.ingest import store_usage
from spend.rollup import recount
from spendops.ring.believable import usage
from tenants.models import Project, Tenant
from tenants.scope import tenant_scope
from tests.chromium import Window
from tests.looking import look_around
from tests.spend.customer import SOMEBODY, Customer
from tests.spend.test_statement_pages import finish
from tests.tenants.company import last_month
from wire.prices import PriceBook

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def customer(admin_window, clickhouse) -> Customer:
    Tenant.objects.update(name="Example Corp", currency="INR")
    now = datetime.now(UTC)
    for currency, rate in (("USD", 116_000_000), ("INR", 10_350_000_000)):
        for ago in range(0, 120, 5):
            day = (now - timedelta(days=ago)).date()
            ExchangeRate.objects.create(day=day, currency=currency, rate_e8=rate, source="ECB", seen_at=now)
    return Customer(Tenant.objects.get(), zone="Asia/Kolkata")


@pytest.fixture
def two_months(customer) -> Customer:
    """Believable calls of three months, of which the first is sealed, late calls, and rules of cost centres."""
    sync_prices(GenaiPrices(), by=SOMEBODY)
    events = usage(
        customer.believable_callers(), PriceBook(pricing_blob(env="dev", rev=1)), until=customer.now, days=75
    )
    late = [event for number, event in enumerate(events) if number % 97 == 5]
    store_usage([event for event in events if event not in late])
    while recount():
        pass
    with tenant_scope(customer.tenant.id):
        ids = dict(Project.objects.values_list("name", "pk"))
        rules = (
            Rule("Commerce", {"project": (ids["Checkout assistant"], ids["Search ranking"])}),
            Rule("Care", {"project": (ids["Support copilot"],)}),
            Rule("Platform", {"project": (ids["Data platform"],)}),
        )
        centres = (Centre("Platform", "fixed", {"Commerce": 6_500, "Care": 3_500}),)
        change_cost_centres(tenant=customer.tenant, book=Book(centres, rules), version=0, by=SOMEBODY)
        customer.tenant.refresh_from_db()
        month = next_month(customer.tenant.id)
        confirmed = str(Totals.of(draft(customer.tenant, month)))
        seal_month(tenant=customer.tenant, month=month, confirmed=confirmed, by=SOMEBODY)
    finish()
    store_usage(late)
    while recount():
        pass
    return customer


def test_every_page_without_a_complaint(admin_window: Window, two_months):
    over = last_month(two_months.tenant)
    sealed = over.replace(day=1) - timedelta(days=1)
    page = admin_window.page

    def ready(name: str) -> None:
        if name == "cost-centres-review":
            page.get_by_role("button", name="Look at the outcome").click()
            expect(page.get_by_role("heading", name="What the rules come to")).to_be_visible()

    pages = {
        "statements": "/statements",
        "statement-draft": f"/statements/{over:%Y-%m}",
        "statement-sealed": f"/statements/{sealed:%Y-%m}",
        "cost-centres": "/cost-centres",
        "cost-centres-edit": "/cost-centres/edit",
        "cost-centres-review": "/cost-centres/edit",
    }
    assert look_around(admin_window, pages, ready=ready) == {}


def test_rules_are_written_and_a_month_is_sealed_with_the_passkey(admin_window: Window, customer):
    at = last_month(customer.tenant)
    customer.call(at, cost="3.000000000000")
    page = admin_window.page
    page.goto("/cost-centres")
    page.get_by_role("link", name="Write the first rule").click()
    page.get_by_label("Cost centre", exact=True).fill("Shop")
    page.get_by_label("Project", exact=True).fill("Checkout")
    page.get_by_role("button", name="Add a rule").click()
    expect(page.get_by_role("heading", name="Rule 2")).to_be_visible()
    expect(page.get_by_label("Project", exact=True).first).to_have_value("Checkout")
    page.get_by_role("button", name="Look at the outcome").last.click()
    page.get_by_role("button", name="Let these rules hold").click()
    expect(page.get_by_text("The rules hold now")).to_be_visible()

    page.goto("/statements")
    page.get_by_role("link", name=f"Seal {at:%B %Y}").click()
    page.get_by_role("button", name=f"Seal {at:%B %Y}: $3.00").click()
    expect(page.get_by_text("Being sealed.")).to_be_visible()
    finish()
    expect(page.get_by_text("Checksum of the PDF")).to_be_visible()
    expect(page.get_by_role("cell", name="Shop").first).to_be_visible()
    page.reload()
    with page.expect_download() as download:
        page.get_by_role("link", name="as PDF").click()
    assert download.value.suggested_filename == f"statement-{at:%Y-%m}.pdf"
    assert admin_window.complaints == []
