"""A budget's life in Chromium: set, used up, told, raised with a passkey; and its pages without a complaint."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from alerts.tasks import send_deliveries
from budgets.evaluator import evaluate
from budgets.queries import tenant_block
from spend.ingest import store_usage
from spend.queries.daily import daily_spend
from spend.rollup import recount
from tenants.models import Tenant
from tests.alerts.conftest import by_kind
from tests.alerts.test_ring import call
from tests.budgets.making import make_budget
from tests.looking import DESKTOP, PHONE, look_around, sideways

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


def spend_and_tell(tenant: Tenant, *pico: int) -> None:
    store_usage([call(tenant, each) for each in pico])
    recount()
    evaluate()
    send_deliveries()


def test_a_budgets_life(admin_window, clickhouse, site, monkeypatch):
    monkeypatch.setattr("alerts.content.daily_spend", daily_spend)
    page, tenant = admin_window.page, Tenant.objects.get()
    page.goto("/budgets")
    page.get_by_role("link", name="Set a budget").first.click()
    page.get_by_label("Name").fill("First")
    page.get_by_label("Limit a month").fill("0.0001")
    page.get_by_text("Refuse calls with 402").click()
    page.get_by_role("button", name="Set the budget").click()
    expect(page.get_by_role("heading", name="First", exact=True)).to_be_visible()
    expect(page.get_by_text("No spend in this period")).to_be_visible()

    page.goto("/alerts/outbox")
    expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()
    spend_and_tell(tenant, 41_550_000, 83_100_000)
    messages = page.get_by_role("link", name="Budget “First” is used up (124%)")
    expect(messages).to_have_count(2)  # the page found them by itself

    page.goto(f"/alerts/outbox/{by_kind()['email'].id}")
    mail = page.frame_locator("iframe")
    expect(mail.get_by_role("heading", name="Budget “First” is used up (124%)")).to_be_visible()
    assert mail.locator("h1").evaluate("each => getComputedStyle(each).fontSize") == "21px"  # its styles take effect
    page.goto(f"/alerts/outbox/{by_kind()['slack'].id}")
    page.get_by_role("link", name="Open", exact=True).click()
    expect(page.locator(".page-subtitle .status")).to_have_text("Refusing calls")
    assert tenant_block(tenant.id, "dev") is not None

    page.get_by_role("link", name="Raise or change").click()
    page.get_by_label("Limit a month").fill("100")
    page.get_by_role("button", name="Confirm and save").click()
    expect(page.get_by_text("Calls pass again within a second.")).to_be_visible()
    assert tenant_block(tenant.id, "dev") is None
    assert admin_window.complaints == []


def test_every_page_without_a_complaint(admin_window, clickhouse):
    page, tenant = admin_window.page, Tenant.objects.get()
    used_up = make_budget(tenant, now=None)
    make_budget(
        tenant, "900", name="A name so long that it has to break on a narrow page", enforcement="soft", now=None
    )
    spend_and_tell(tenant, 41_550_000, 209_105_061_728_349)
    mail, slack = by_kind()["email"], by_kind()["slack"]
    pages = {
        "budgets": "/budgets",
        "budget-new": "/budgets/new",
        "budget": f"/budgets/{used_up.id}",
        "budget-edit": f"/budgets/{used_up.id}/edit",
        "outbox": "/alerts/outbox",
        "outbox-mail": f"/alerts/outbox/{mail.id}",
        "outbox-slack": f"/alerts/outbox/{slack.id}",
        "channels": "/alerts/channels",
        "channel-new-slack": "/alerts/channels/new/slack",
        "channel-new-email": "/alerts/channels/new/email",
    }
    assert look_around(admin_window, pages) == {}
    for size in (DESKTOP, PHONE):  # the mail by itself runs no scripts, and so not axe
        page.set_viewport_size(size)
        assert page.goto(f"/alerts/outbox/{mail.id}/mail.html").status == 200
        assert sideways(page) <= 0
    assert admin_window.complaints == []
