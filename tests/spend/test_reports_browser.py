"""Reports and all tenants in Chromium, in both themes and widths: a report is scheduled, tried, read, unsubscribed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from spend.anomalies.run import look_for_anomalies
from spend.models import ReportRecipient
from spend.reports.mail import unsubscribe_url
from spend.reports.run import send_reports
from tenants.models import Tenant
from tenants.scope import across_tenants
from tests.chromium import Window
from tests.looking import look_around, look_here
from tests.spend.customer import Customer
from tests.tenants.making import make_tenant

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def customer(admin_window, clickhouse) -> Customer:
    Tenant.objects.update(name="Example Corp")
    known = Customer(Tenant.objects.get(), zone="Asia/Kolkata")
    days = [(number, "50" if number == 2 else f"{2 + number % 3}.25") for number in range(50)]
    known.count([known.call(known.now - timedelta(days=number), charge=charge, cost="1.5") for number, charge in days])
    look_for_anomalies()
    return known


def test_a_person_schedules_tries_reads_and_leaves_a_report(admin_window: Window, customer: Customer):
    page = admin_window.page
    page.goto(reverse("spend:reports"))
    expect(page.get_by_text("No reports yet")).to_be_visible()
    page.get_by_role("link", name="Schedule a report").first.click()
    page.get_by_label("Name", exact=True).fill("Weekly spend")
    expect(page.get_by_label("On", exact=False).first).to_be_visible()
    assert look_here(page, "report-new") == {}
    page.get_by_role("button", name="Schedule").click()
    page.get_by_role("button", name="Send me a test").click()
    expect(page.locator("#sendings")).to_contain_text("Waiting")
    with across_tenants("a test works"):
        send_reports(seconds=60)
    expect(page.locator("#sendings")).to_contain_text("1 of 1")
    assert look_here(page, "report") == {}
    page.locator("#sendings a.row-link").first.click()
    expect(page.get_by_text("No mail server is set up")).to_be_visible()
    mail = page.frame_locator("iframe.mail-frame")
    expect(mail.get_by_role("heading", name="Weekly spend")).to_be_visible()
    assert look_here(page, "report-sending") == {}
    written = page.request.get(page.url + "/mail.html").text()
    reader = admin_window.context.new_page()  # as a mail program shows it: its preview here runs no scripts
    reader.set_content(written)
    assert look_here(reader, "report-mail") == {}
    reader.close()
    page.goto(reverse("spend:reports"))
    assert look_here(page, "reports") == {}
    page.goto(reverse("alerts:outbox"))
    expect(page.get_by_role("heading", name="Reports by mail")).to_be_visible()
    with across_tenants("a test looks"):
        link = unsubscribe_url(ReportRecipient.objects.get())
    page.goto(link)
    assert look_here(page, "report-unsubscribe") == {}
    page.get_by_role("button", name="Do not send it to me any more").click()
    expect(page.get_by_text("You are unsubscribed")).to_be_visible()
    page.goto(reverse("spend:reports"))
    page.get_by_role("link", name="Weekly spend").click()
    page.get_by_role("button", name="Subscribe again").click()
    expect(page.get_by_text("You get this report again.")).to_be_visible()
    assert admin_window.complaints == []


def test_all_tenants_are_looked_at_ordered_and_entered(admin_window: Window, customer: Customer):
    names = ("Northwind Traders", "Fabrikam Retail and Wholesale International", "Contoso", "Tailspin Toys")
    for number, name in enumerate(names):
        other = Customer(make_tenant(name), zone=("UTC", "America/New_York", "Pacific/Chatham", "UTC")[number])
        other.count(
            [other.call(other.now - timedelta(days=day), charge=f"{number + 1}.5", cost="1") for day in range(9)]
        )
    page = admin_window.page
    address = reverse("spend:tenants") + "?period=7d"
    assert look_around(admin_window, {"all-tenants": address}) == {}
    page.goto(address)
    expect(page.locator("#tenants-chart .barlayer .trace")).to_have_count(2)
    page.get_by_role("link", name="Requests", exact=True).last.click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Requests")
    page.get_by_label("Tenant", exact=True).fill("contoso")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#tenants-table tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Contoso", exact=True).click()
    page.wait_for_url("**/spend?period=7d")
    expect(page.locator(".menu-tenant summary")).to_contain_text("Contoso")
    assert admin_window.complaints == []
