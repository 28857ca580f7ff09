"""A budget's life in Chromium: set, used up, told, raised with a passkey; and its pages without a complaint."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
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


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_without_a_complaint(admin_window, clickhouse, site, theme, width):
    page, tenant = admin_window.page, Tenant.objects.get()
    page.set_viewport_size({"width": width, "height": 900})
    admin_window.context.add_cookies([{"name": "theme", "value": theme, "url": site}])
    used_up = make_budget(tenant, now=None)
    make_budget(
        tenant, "900", name="A name so long that it has to break on a narrow page", enforcement="soft", now=None
    )
    spend_and_tell(tenant, 41_550_000, 209_105_061_728_349)
    mail, slack = by_kind()["email"], by_kind()["slack"]
    found = {}
    for address in (
        "/budgets",
        "/budgets/new",
        f"/budgets/{used_up.id}",
        f"/budgets/{used_up.id}/edit",
        "/alerts/outbox",
        f"/alerts/outbox/{mail.id}",
        f"/alerts/outbox/{slack.id}",
        "/alerts/channels",
        "/alerts/channels/new/slack",
        "/alerts/channels/new/email",
        f"/alerts/outbox/{mail.id}/mail.html",
    ):
        page.goto(address)
        page.wait_for_load_state("networkidle")
        complaints = list(admin_window.complaints)
        whole_page = not address.endswith("mail.html")
        if whole_page:
            broken = Axe().run(page).response["violations"]
            complaints += [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in broken]
        if admin_window.sideways() > 0:
            complaints.append(f"{admin_window.sideways()} px too wide")
        if complaints:
            found[address] = complaints
        admin_window.complaints.clear()
    assert found == {}
