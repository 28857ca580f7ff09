"""The whole way of an export in Chromium, down to the file; and its pages without a complaint."""

from __future__ import annotations

import csv
from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from spend.exports.actions import begin_export
from spend.exports.run import work_off, work_off_all
from spend.exports.wanted import Kind, Wanted
from spend.models import Export
from spend.queries.slices import Slice
from tenants.models import Tenant
from tenants.scope import across_tenants, tenant_scope
from tests.chromium import Window
from tests.looking import look_around
from tests.spend.customer import SOMEBODY, Customer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def customer(admin_window, clickhouse, settings, tmp_path) -> Customer:
    settings.EXPORTS = tmp_path / "exports"
    Tenant.objects.update(name="Example Corp")
    return Customer(Tenant.objects.get(), zone="Asia/Kolkata")


def test_from_the_chart_to_the_file(admin_window, customer, tmp_path):
    page = admin_window.page
    customer.call(customer.midnight - timedelta(hours=3), cost="1.25")
    customer.call(
        customer.midnight - timedelta(hours=2), cost="0.000041550000", model_asked="gpt-5", model_priced="gpt-5"
    )
    page.goto("/spend?period=7d&group=model")
    page.get_by_role("link", name="Export", exact=True).click()
    expect(page.get_by_role("heading", name="New export")).to_be_visible()
    expect(page.get_by_label("Grouped by")).to_have_value("model")
    page.get_by_role("button", name="Export").click()
    expect(page.get_by_text("Confirm that a partial file will do")).to_be_visible()
    assert all("422" in complaint for complaint in admin_window.complaints)  # the browser tells of each refused form
    admin_window.complaints.clear()
    page.get_by_label("Export it as partial").check()
    page.get_by_role("button", name="Export").click()
    expect(page.get_by_text("Waiting")).to_be_visible()
    assert work_off_all() == 1
    expect(page.get_by_text("Ready, partial")).to_be_visible()
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download").click()
    target = tmp_path / coming.value.suggested_filename
    coming.value.save_as(target)
    assert target.name.startswith("spendops-example-corp-spend-")
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(Decimal(row["charge_usd"]) for row in rows) == Decimal("1.250041550000")
    assert {row["model"] for row in rows} == {"gpt-4o-mini", "gpt-5"}
    page.get_by_role("button", name="Copy the SHA-256").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Nothing was exported yet")).to_be_visible()
    assert admin_window.complaints == []


def made(customer: Customer, kind: Kind, written: str, days: int, **only: tuple[str, ...]) -> Export:
    last = customer.now.date() - timedelta(days=1)
    of = Slice(last - timedelta(days=days), last, zone="Asia/Kolkata", only=only)
    wanted = Wanted(kind, of, ("model", "project") if kind is Kind.SPEND else ())
    with tenant_scope(customer.tenant.id):
        return begin_export(tenant=customer.tenant, wanted=wanted, written=written, by=SOMEBODY)


def test_the_pages_of_exports_without_a_complaint(admin_window: Window, customer):
    assert look_around(admin_window, {"exports-nothing": "/exports"}) == {}
    customer.call(customer.midnight - timedelta(hours=3), cost="1.25")
    customer.call(customer.midnight - timedelta(hours=3), cost=None, model_asked="acme-7b")
    for job in (
        made(customer, Kind.SPEND, "xlsx", 29),
        made(customer, Kind.FOCUS_1_4, "parquet", 29),
        made(customer, Kind.USAGE, "csv", 2, env=("dev",), project=(customer.project.id,)),
    ):
        work_off(job.pk)
    failed, running = made(customer, Kind.USAGE, "csv", 300), made(customer, Kind.DENIALS, "csv", 29)
    with across_tenants("a test sets what a job would"):
        Export.objects.filter(pk=failed.pk).update(status="failed", error="ClickHouse refused a statement: too much.")
        Export.objects.filter(pk=running.pk).update(status="running", rows=41_000, total=88_000, days_done=14)
    pages = {"exports": "/exports", "export-new": "/exports/new?of=explore&not-env=prod&by=key"}
    assert look_around(admin_window, pages) == {}
