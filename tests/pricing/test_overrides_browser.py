"""Overrides in Chromium: one is made with its preview, and every page in both themes, wide and narrow."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from budgets.actions import Settings, create_budget
from pricing.actions.overrides import archive_override, change_override, create_override
from pricing.actions.sync import sync_prices
from pricing.models import Override, PriceSync
from pricing.override_rules import OverrideSettings
from pricing.render import pricing_blob
from pricing.sources.base import Catalogue
from spendops.ring.believable import usage
from tenants.models import Tenant
from tenants.scope import across_tenants
from tests.looking import look_around
from tests.pricing.conftest import SYNC, Given
from tests.pricing.market import priced, with_models
from tests.spend.customer import Customer
from wire.prices import PriceBook

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]


@pytest.fixture
def customer(admin_window, clickhouse, catalogue) -> Customer:
    """30 days of believable calls by real prices."""
    Tenant.objects.update(name="Example Corp")
    customer = Customer(Tenant.objects.get(), zone="Asia/Kolkata")
    sync_prices(Given(catalogue), by=SYNC)
    book = PriceBook(pricing_blob(env="dev", rev=1))
    customer.count(usage(customer.believable_callers(), book, until=customer.now, days=29))
    return customer


@pytest.fixture
def overrides(customer) -> list[Override]:
    """Some of every kind, in force, to come and over."""
    now = timezone.now()
    wanted = {
        "Volume discount 2026": {"kind": "percent", "basis_points": -1_500, "provider": "openai", "model": "gpt-4o*"},
        "Support pays cost plus 5": {"kind": "percent", "basis_points": 500, "project": customer.project.id},
        "Embeddings are on the house": {"kind": "free", "model": "text-embedding-*", "priority": 10},
        "Framework contract": {
            "kind": "absolute",
            "provider": "anthropic",
            "model": "claude-sonnet*",
            "prices": {"input": 2_700_000, "output": 13_500_000, "cache_read": 270_000},
            "ends_at": now + timedelta(days=200),
        },
        "Spring offer": {"kind": "percent", "basis_points": -2_500, "starts_at": now + timedelta(days=90)},
        "Pilot": {"kind": "free", "provider": "google"},
    }
    made = [
        create_override(
            tenant=customer.tenant,
            wanted=OverrideSettings(**({"name": name, "starts_at": now - timedelta(hours=1)} | fields)),
            by=SYNC,
        )
        for name, fields in wanted.items()
    ]
    archive_override(override=made[-1], by=SYNC)
    first = OverrideSettings(
        name="Volume discount 2026",
        kind="percent",
        basis_points=-1_750,
        provider="openai",
        model="gpt-4o*",
        starts_at=made[0].starts_at,
    )
    change_override(override=made[0], wanted=first, by=SYNC)
    return made


@pytest.fixture
def sync(customer, catalogue: Catalogue) -> PriceSync:
    """Changes that wait: the models that are used become dearer."""
    dearer = with_models(
        catalogue,
        "openai",
        priced("gpt-4o", (None, {"input": 3_500_000, "output": 14_000_000, "cache_read": 1_750_000})),
    )
    synced = sync_prices(Given(dearer), by=SYNC)
    wanted = Settings(name="Monthly AI spend", amount="40", enforcement="soft", thresholds=["80", "100"])
    create_budget(tenant=customer.tenant, wanted=wanted, by=SYNC)
    assert synced.waiting is not None
    return synced.waiting


def test_an_override_is_made_with_its_preview_before_it_is_saved(admin_window, customer):
    page = admin_window.page
    page.goto("/pricing/overrides")
    page.get_by_role("link", name="New override").first.click()
    preview = page.locator("#override-preview")
    expect(preview).to_contain_text("Write a percentage, like 15.")
    page.get_by_label("Name").fill("Volume discount")
    page.get_by_label("Model (optional)").fill("gpt-4o*")
    page.get_by_role("textbox", name="Percentage").fill("15")
    page.get_by_label("Cheaper or dearer").select_option("off")
    expect(preview).to_contain_text("With it")
    expect(preview).to_contain_text("gpt-4o-mini")
    expect(preview).to_contain_text("As if it had held on all 30 days")
    expect(page.get_by_label("Price 1 in USD")).to_be_hidden()
    page.get_by_label("Prices of its own").check()
    expect(page.get_by_label("Price 1 in USD")).to_be_visible()
    expect(preview).to_contain_text("at least one price")
    page.get_by_label("Price 1 in USD").fill("2.00")
    page.get_by_label("Price 1 in USD").blur()
    expect(preview).to_contain_text("With it")
    page.get_by_role("button", name="Confirm and save").click()
    expect(page.get_by_role("heading", name="Volume discount", level=1)).to_be_visible()
    with across_tenants("a test looks"):
        assert Override.objects.get().prices == {"input": 2_000_000}
    expect(page.locator("#without")).to_contain_text("Without it")
    assert admin_window.complaints == []


def test_every_page_of_overrides_without_a_complaint(admin_window, overrides, sync):
    page, row = admin_window.page, overrides[0]
    pages = {
        "overrides": "/pricing/overrides?provider=openai&model=gpt-4o",
        "overrides-ended": "/pricing/overrides?show=ended",
        "override": f"/pricing/overrides/{row.pk}",
        "override-own-prices": f"/pricing/overrides/{overrides[3].pk}/edit",
        "override-edit": f"/pricing/overrides/{row.pk}/edit",
        "override-new": "/pricing/overrides/new",
        "override-history": "/pricing/overrides/history",
        "override-list": "/pricing/overrides/list",
        "override-sync": f"/pricing/syncs/{sync.pk}",
    }

    def ready(name: str) -> None:
        if name in ("override-own-prices", "override-edit"):
            expect(page.locator("#override-preview")).to_contain_text("As they were")
        if name == "override-new":
            expect(page.locator("#override-preview")).to_contain_text("Write a percentage")
        if name == "override":
            expect(page.locator("#without")).to_contain_text("Without it")
        if name == "override-sync":
            expect(page.locator("#impact-heading")).to_be_visible()
            expect(page.locator("#budgets-impact-heading")).to_be_visible()
        if name == "override-list":
            lines = "name,model,kind,percent\nSmall ones,gpt-4o-mini,percent,-15\nClaude,claude-*,percent,-5"
            page.get_by_role("textbox", name="List").fill(lines)
            page.get_by_role("button", name="Check the list").click()
            expect(page.get_by_role("heading", name="2 overrides would be added")).to_be_visible()

    assert look_around(admin_window, pages, ready=ready) == {}
