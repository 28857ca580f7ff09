"""The pages of prices in Chromium: both themes, wide and narrow, without a complaint; and what a person does there.

With SPENDOPS_TEST_SCREENSHOTS=FOLDER the walk leaves its pictures there (`python -m tests.screenshots FOLDER`).
"""

from __future__ import annotations

import pytest
from django.core.cache import cache
from playwright.sync_api import expect

from access.models import User
from changes.actor import Actor
from pricing.models import HandPrice, PriceSync
from pricing.sources.base import Catalogue
from tenants.models import Tenant
from tests.chromium import Window
from tests.looking import PHONE, look_around
from tests.pricing.market import eventful

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]

COMPARED = "model=openai/gpt-4o&model=anthropic/claude-haiku-4-5&model=google/gemini-2.5-pro&model=openai/gpt-4o-mini"
WHOLE_TABLES = "[...document.querySelectorAll('.table-wrap')].every((each) => each.scrollWidth <= each.clientWidth)"


@pytest.fixture
def tenant(admin_window: Window, clickhouse) -> Tenant:
    cache.clear()
    Tenant.objects.update(name="Example Corp")
    return Tenant.objects.get()


def test_every_page_without_a_complaint(admin_window: Window, tenant, catalogue: Catalogue):
    page = admin_window.page

    def ready(_: str) -> None:
        expect(page.get_by_text("Looking at")).to_have_count(0)

    pages = {
        "pricing-empty": "/pricing",
        "pricing-compare-empty": "/pricing/compare",
        "pricing-syncs-empty": "/pricing/syncs",
        "pricing-by-hand-empty": "/pricing/by-hand",
        "pricing-cross-check-empty": "/pricing/cross-check",
        "pricing-rates-empty": "/pricing/rates",
    }
    found = look_around(admin_window, pages, themes=["light"], ready=ready)
    waiting = eventful(catalogue, by=Actor("user", User.objects.get().pk))
    hand = HandPrice.objects.get(model__model_id="house-llm-7b")
    first = PriceSync.objects.order_by("at").first()
    failed = PriceSync.objects.get(status=PriceSync.Status.FAILED)
    assert first is not None
    pages = {
        "pricing-catalogue": "/pricing",
        "pricing-catalogue-narrowed": "/pricing?q=gpt&provider=openai&below=3&sort=-input",
        "pricing-catalogue-nothing": "/pricing?q=nope",
        "pricing-model": "/pricing/openai/gpt-4o",
        "pricing-model-variants": "/pricing/openai/gpt-4o-mini",
        "pricing-model-hours": "/pricing/deepseek/deepseek-chat",
        "pricing-model-by-hand": "/pricing/our-own/house-llm-7b",
        "pricing-describe": "/pricing/describe/openai/gpt-4o",
        "pricing-compare": f"/pricing/compare?{COMPARED}&input=8000&cached=4000&output=500&requests=50000",
        "pricing-syncs": "/pricing/syncs",
        "pricing-sync-waiting": f"/pricing/syncs/{waiting.pk}",
        "pricing-sync-failed": f"/pricing/syncs/{failed.pk}",
        "pricing-sync-first": f"/pricing/syncs/{first.pk}",
        "pricing-by-hand": "/pricing/by-hand",
        "pricing-by-hand-new": "/pricing/by-hand/new?provider=our-own&model=new",
        "pricing-by-hand-change": f"/pricing/by-hand/{hand.pk}/change",
        "pricing-by-hand-end": f"/pricing/by-hand/{hand.pk}/end",
        "pricing-by-hand-table": "/pricing/by-hand/table",
        "pricing-cross-check": "/pricing/cross-check",
        "pricing-rates": "/pricing/rates?currency=EUR&span=1100",
        "pricing-report": "/pricing/report",
    }
    found |= look_around(admin_window, pages, ready=ready)
    for size in ({"width": 1280, "height": 800}, PHONE):
        page.set_viewport_size(size)
        page.goto("/pricing")
        assert page.evaluate(WHOLE_TABLES), "no column of the catalogue is cut off"
    assert found == {}


def test_a_person_looks_at_what_waits_and_approves_exactly_it(admin_window: Window, tenant, catalogue: Catalogue):
    waiting = eventful(catalogue)
    page = admin_window.page
    page.goto("/pricing")
    page.get_by_role("link", name="Look at them").click()
    expect(page.get_by_role("row", name="gpt-4o openai")).to_contain_text("+60%")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Published as price book")).to_be_visible()
    page.goto("/pricing/openai/gpt-4o")
    expect(page.get_by_role("cell", name="$4.00").first).to_be_visible()
    page.get_by_role("tab", name="Table").click()
    expect(page.get_by_role("region", name="Table of prices by day")).to_contain_text("$2.50")
    assert PriceSync.objects.get(pk=waiting.pk).status == PriceSync.Status.APPROVED
    assert admin_window.complaints == []


def test_a_person_prices_models_from_a_table_that_was_checked_first(admin_window: Window, tenant, catalogue: Catalogue):
    page = admin_window.page
    page.goto("/pricing/by-hand/table")
    page.get_by_label("CSV or JSON").fill("provider,model,unit,price\nour-own,tiny,input,minus one")
    page.get_by_role("button", name="Check the table").click()
    expect(page.get_by_text("'minus one' is not a price: write USD like 0.15.")).to_be_visible()
    assert all("422" in each for each in admin_window.complaints)  # the browser's own line about a refused form
    admin_window.complaints.clear()
    lines = (
        "provider,model,unit,price,from",
        "our-own,tiny,input,0.15,2026-11-01",
        "our-own,tiny,output,0.60,2026-11-01",
    )
    content = "\r\n".join(lines).encode()
    page.get_by_label("Or a file").set_input_files({"name": "prices.csv", "mimeType": "text/csv", "buffer": content})
    page.get_by_role("button", name="Check the table").click()
    expect(page.get_by_role("heading", name="1 price can be published")).to_be_visible()
    assert not HandPrice.objects.exists()
    page.get_by_role("button", name="Publish 1 price").click()
    expect(page.get_by_text("1 price added.")).to_be_visible()
    assert HandPrice.objects.get().prices == {"input": 150_000, "output": 600_000}
    assert admin_window.complaints == []


def test_models_that_are_ticked_are_compared(admin_window: Window, tenant, catalogue: Catalogue):
    eventful(catalogue)
    page = admin_window.page
    page.goto("/pricing?q=gpt-4o&provider=openai")
    page.get_by_label("Compare openai/gpt-4o", exact=True).check()
    page.get_by_label("Compare openai/gpt-4o-mini", exact=True).check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Cost of a month")).to_be_visible()
    expect(page.get_by_role("row", name="openai/gpt-4o-mini")).to_contain_text("Cheapest")
    page.get_by_role("link", name="Agent").click()
    expect(page.get_by_label("Input tokens")).to_have_value("40000")
    page.get_by_label("Leave openai/gpt-4o-mini out").click()
    expect(page.get_by_role("row", name="openai/gpt-4o-mini")).to_have_count(0)
    assert admin_window.complaints == []
