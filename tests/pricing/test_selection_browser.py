"""The pages of selections in Chromium: both themes, wide and narrow, without a complaint; and a model is selected."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from pricing.actions.selections import select_model
from pricing.actions.sync import sync_prices
from pricing.sources.genai_prices import GenaiPrices
from tenants.actions.projects import create_project
from tenants.models import Tenant
from tests.chromium import Window
from tests.looking import look_around
from tests.pricing.conftest import SYNC
from tests.tenants.making import SOMEBODY

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def tenant(admin_window: Window, clickhouse) -> Tenant:
    Tenant.objects.update(name="Example Corp")
    sync_prices(GenaiPrices(), by=SYNC)
    return Tenant.objects.get()


def fill(tenant: Tenant) -> str:
    """Some selections, of a project too; the project's id."""
    project = create_project(tenant=tenant, name="Search", by=SOMEBODY)
    for use, tier, provider, model, of in (
        ("chat", "bulk", "openai", "gpt-4o-mini", None),
        ("chat", "standard", "openai", "gpt-4o", None),
        ("chat", "frontier", "anthropic", "claude-opus-4-1", None),
        ("chat", "bulk", "google", "gemini-2.5-flash", project),
        ("embeddings", "bulk", "openai", "text-embedding-3-small", None),
        ("messages", "standard", "anthropic", "claude-sonnet-4-5", None),
    ):
        select_model(tenant=tenant, project=of, use=use, tier=tier, provider=provider, model=model, by=SOMEBODY)
    return project.id


def test_every_page_without_a_complaint(admin_window: Window, tenant):
    found = look_around(admin_window, {"selections-empty": "/models/selection"})
    project = fill(tenant)
    pages = {
        "selections": "/models/selection",
        "selections-project": f"/models/selection?project={project}",
        "selection-choose": "/models/selection/choose?use=chat&tier=frontier",
        "selection-choose-nothing": "/models/selection/choose?use=chat&tier=frontier&q=nope",
    }
    found |= look_around(admin_window, pages)
    assert found == {}


def test_a_model_is_selected_and_cleared(admin_window: Window, tenant):
    page = admin_window.page
    page.goto("/pricing")
    page.get_by_role("navigation", name="Pricing").get_by_role("link", name="Selection").click()
    page.get_by_role("link", name="Select Chat completions, standard").click()
    page.get_by_label("Search").fill("openai gpt-4o-mini")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Select gpt-4o-mini of openai", exact=True).click()
    expect(page.get_by_text("Chat completions, standard: gpt-4o-mini.")).to_be_visible()
    page.get_by_role("button", name="Clear Chat completions, standard").click()
    expect(page.get_by_text("Callers who ask for it are refused within a second.")).to_be_visible()
