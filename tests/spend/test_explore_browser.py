"""The Explore page in Chromium: both themes, wide and narrow, without a complaint; filters, sorting, the live chart."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.chromium import Window
from tests.looking import DESKTOP, PHONE, inaccessible, keep_picture, look_around, settled, sideways
from tests.spend.test_pages_browser import customer, some_usage, usage_of_weeks

__all__ = ["customer", "some_usage", "usage_of_weeks"]
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]

ADDRESSES = {
    "explore": "/explore?by=model",
    "explore-compare": "/explore?by=project&compare=previous",
    "explore-pivot": "/explore?by=project&then=model&period=30d&compare=previous",
    "explore-lines": "/explore?by=model&measure=error_rate&chart=lines&period=30d",
    "explore-table": "/explore?by=key&chart=table&period=7d&compare=previous",
    "explore-hours": "/explore?by=env&each=hour&period=7d&zone=Pacific/Chatham",
    "explore-filters": "/explore?by=model&env=prod&not-model=gpt-4o&none=end_user&tag:team=search",
    "explore-nothing": "/explore?by=model&env=none",
    "explore-wrong": "/explore?by=nonsense&period=custom&first=2026-01-01",
}


def test_every_view_without_a_complaint(admin_window: Window, usage_of_weeks):
    assert look_around(admin_window, ADDRESSES) == {}


def test_a_view_is_put_together_by_hand_and_stays_in_the_address(admin_window, some_usage):
    page = admin_window.page
    page.goto("/explore?by=model")
    settled(page)
    page.get_by_label("Group by", exact=True).select_option("project")
    expect(page.get_by_role("heading", name="Spend by project, daily")).to_be_visible()
    page.get_by_label("Compare with", exact=True).select_option("previous")
    expect(page.get_by_role("heading", name="Biggest changes")).to_be_visible()
    assert page.locator("#explore-chart .scatterlayer .trace").count() == 1

    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("What", exact=True).select_option("env")
    page.get_by_label("Value", exact=True).focus()
    expect(page.locator("#narrow-values option")).to_have_count(2)
    page.get_by_label("Value", exact=True).fill("prod")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".explore-chip")).to_have_text("Environment is prod")
    for part in ("by=project", "compare=previous", "env=prod"):
        assert part in page.url

    page.locator("#explore-groups thead").get_by_role("link", name="Requests").click()
    page.wait_for_url("**sort=requests**")
    expect(page.locator("#explore-groups thead th[aria-sort=descending]")).to_have_text("Requests ▼")
    page.get_by_role("link", name="Remove the filter Environment is prod").click()
    expect(page.locator(".explore-chip")).to_have_count(0)
    assert admin_window.complaints == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_view_is_saved_shared_and_begun_with(admin_window, some_usage, size):
    page = admin_window.page
    page.set_viewport_size(size)
    page.goto("/explore?by=key&period=7d")
    settled(page)
    page.get_by_text("Save view", exact=True).click()
    keep_picture(page, f"explore-save-{size['width']}")
    assert (inaccessible(page), sideways(page)) == ([], 0)
    page.get_by_label("Name", exact=True).fill("Keys of a week")
    page.get_by_label("Share with Example Corp").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The view “Keys of a week” is saved.")).to_be_visible()
    page.locator(".explore-saved summary").first.click()
    page.get_by_role("link", name="All views").click()
    page.get_by_role("button", name="Begin with Keys of a week").click()
    expect(page.get_by_text("Explore now begins with")).to_be_visible()
    page.get_by_text("Change", exact=True).last.click()
    expect(page.get_by_role("button", name="Delete")).to_be_in_viewport()
    expect(page.locator("[aria-current=page]")).to_have_text("Explore")
    keep_picture(page, f"saved-views-{size['width']}")
    assert (inaccessible(page), sideways(page)) == ([], 0)
    page.goto("/explore")
    expect(page.get_by_role("heading", name="Spend by API key, daily")).to_be_visible()
    assert "saved=v_" in page.url
    assert admin_window.complaints == []


def test_a_call_moves_the_view_by_itself(admin_window, customer):
    page = admin_window.page
    customer.call(cost="1.25")
    page.goto("/explore?by=model")
    total = page.locator("#explore-total")
    expect(total).to_have_text("$1.25")
    customer.call(cost="2.00")
    expect(total).to_have_text("$3.25")
    expect(page.locator("#groups-total")).to_have_text("$3.25")
    assert admin_window.complaints == []
