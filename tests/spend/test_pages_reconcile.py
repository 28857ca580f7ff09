"""Invoices as pages and in the API."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tenants.permissions import Permission
from tests.pricing.catalogues import catalogue, listed, provider
from tests.pricing.conftest import sync_and_approve
from tests.spend.customer import Customer
from tests.spend.test_reconciling import FIXTURE, MODELS, plant
from tests.tenants.making import make_tenant, service_token


@pytest.fixture
def customer(admin_client, queues, clickhouse) -> Customer:
    sync_and_approve(catalogue(provider("openai", *(listed(name, input=1_000_000) for name in MODELS))))
    return Customer(admin_client.tenant, zone="Asia/Kolkata")


def text_of(response) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def form(**more) -> dict:
    file = SimpleUploadedFile("november.csv", FIXTURE.read_bytes())
    return {"kind": "invoice", "file": file, "provider": "openai", "tolerance": "0.01", "usage_kind": ""} | more


def test_an_invoice_is_compared_looked_at_narrowed_and_exported(admin_client, customer):
    plant(customer)
    assert "No invoice was compared yet" in text_of(admin_client.get("/reconcile"))
    made = admin_client.post("/reconcile/new", form())
    address = made.headers["Location"]
    page = admin_client.get(address)
    text = text_of(page)
    assert "1 line could not be read and is in no sum" in text
    assert "Bypassed us the provider counted usage that did not pass us 2 +$4.50" in text
    assert "Mispriced the same usage at another price 1 +$1.50" in text
    assert "$1.50 a million tokens invoiced, $1.00 here (price book 1)" in text
    assert "invoice-figure" in page.content.decode()
    narrowed = text_of(admin_client.get(f"{address}?why=late")).partition("Days and models that differ")[2]
    assert "midnight" in narrowed
    assert "fresh" in narrowed
    assert "dear" not in narrowed
    assert "Days of dear" in text_of(admin_client.get(f"{address}?model=dear"))
    rows = list(csv.DictReader(io.StringIO(admin_client.get(f"{address}/rows.csv").content.decode())))
    classes = [name for name in rows[0] if name.endswith("_usd")][3:]
    assert sum(Decimal(row["difference_usd"]) for row in rows) == sum(
        Decimal(row[name]) for row in rows for name in classes
    )
    assert "openai, 1–6 Nov 2026 UTC" in text_of(admin_client.get("/reconcile"))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"provider": ""}, "Say whose invoice it is"),
        ({"file": SimpleUploadedFile("a.csv", b"day,model\n1,2\n")}, "amount is missing"),
        ({"tolerance": "x"}, "is not an amount"),
        ({"usage_kind": "openai_usage"}, "Choose the file of the usage report"),
    ],
)
def test_what_cannot_be_compared_says_why(admin_client, customer, wrong, why):
    refused = admin_client.post("/reconcile/new", form(**wrong))
    assert refused.status_code == 422
    assert why in text_of(refused)


def test_the_api_compares_and_strangers_see_nothing(customer, client):
    plant(customer)

    def ask(tenant, method, path, body=b""):
        token = service_token(tenant, Permission.SPEND_IMPORT).text
        headers = {"authorization": f"Bearer {token}"}
        return client.generic(method, f"/api/v1/invoices{path}", body, content_type="text/csv", headers=headers)

    given = ask(customer.tenant, "POST", "?source=invoice&provider=openai", FIXTURE.read_bytes())
    assert given.status_code == 200, given.content
    found = given.json()
    totals = {name: Decimal(amount) for name, amount in found["totals_usd"].items()}
    assert totals["mispriced"] == Decimal("1.5")
    assert totals["difference"] == totals["theirs"] - totals["ours"]
    assert found["refused"] == 1
    assert ask(customer.tenant, "GET", f"/{found['id']}").json()["days"] == found["days"]
    assert [each["id"] for each in ask(customer.tenant, "GET", "").json()] == [found["id"]]
    other = make_tenant("Second")
    assert ask(other, "GET", f"/{found['id']}").status_code == 404
    assert ask(other, "GET", "").json() == []
    assert ask(other, "POST", "?source=invoice", b"day,model,amount\n2026-11-01,a,1\n").status_code == 422


def test_an_old_days_requests_are_a_click_away(admin_client, customer):
    customer.call(datetime(2026, 11, 2, 12, tzinfo=UTC), model_asked="dear", model_priced="dear", cost="0.5")
    body = SimpleUploadedFile("a.csv", b"day,model,amount\n2026-11-02,dear,3\n")
    address = admin_client.post("/reconcile/new", form(file=body)).headers["Location"]
    link = re.search(r'href="(/requests\?[^"]+)"', admin_client.get(address).content.decode())[1]
    assert "dear" in text_of(admin_client.get(html.unescape(link)))
