"""The pages and the API of anomalies."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from changes.models import AuditEvent
from spend.anomalies.run import look_for_anomalies
from spend.clickhouse.client import forget_connections
from spend.models import Anomaly
from tenants.scope import tenant_scope
from tests.spend.customer import Customer
from tests.tenants.making import make_tenant


def text_of(response) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


@pytest.fixture
def customer(admin_client, clickhouse) -> Customer:
    return Customer(admin_client.tenant, zone="Asia/Kolkata")


@pytest.fixture
def odd(customer) -> Anomaly:
    """Six weeks of two dollars a day, and fifty yesterday."""
    days = [(number, "50" if number == 1 else "2") for number in range(1, 50)]
    customer.count([customer.event(customer.now - timedelta(days=number), charge=charge) for number, charge in days])
    assert look_for_anomalies() == 1
    with tenant_scope(customer.tenant.id):
        return Anomaly.objects.get()


def test_the_list_says_which_empty_it_is(admin_client, customer):
    assert "No anomalies" in text_of(admin_client.get(reverse("spend:anomalies")))


def test_the_list_and_the_page_say_what_happened(admin_client, customer, odd):
    listed = text_of(admin_client.get(reverse("spend:anomalies")))
    assert "Checkout spent 25.0× its usual" in listed
    assert "100% of the excess from one key: checkout-web" in listed
    page = admin_client.get(reverse("spend:anomaly", args=[odd.pk]))
    assert "+$48.00 above expected, 100% from one key: checkout-web" in text_of(page)
    block = re.search(
        r'<script id="anomaly-figure" type="application/json">(.*?)</script>', page.content.decode(), re.S
    )
    bars = json.loads(block[1])["figure"]["data"][0]
    rows = re.findall(r'<th scope="row" class="nowrap">.*?</th><td class="num">([^<]+)</td>', page.content.decode())
    assert [Decimal(value) for value in bars["y"]] == [Decimal(row.strip("$")) for row in reversed(rows)]
    assert Decimal(bars["y"][-1]) == 50


def test_a_verdict_is_given_once_and_the_list_follows(admin_client, customer, odd):
    settle = reverse("spend:anomaly_settle", args=[odd.pk])
    back = reverse("spend:anomalies")
    answer = admin_client.post(settle, {"verdict": "dismissed", "back": back})
    assert (answer.status_code, answer.url) == (302, back)
    assert "Nothing of this kind" in text_of(admin_client.get(back))
    assert "Dismissed" in text_of(admin_client.get(f"{back}?status=settled"))
    answer = admin_client.post(settle, {"verdict": "expected", "note": "a load test", "back": "https://evil.example/"})
    assert answer.url == reverse("spend:anomaly", args=[odd.pk])
    assert "“a load test”" in text_of(admin_client.get(answer.url))
    admin_client.post(settle, {"verdict": "nonsense"})
    odd.refresh_from_db()
    assert odd.status == "expected"
    assert AuditEvent.objects.filter(kind="anomaly.settled").count() == 2


def test_another_tenants_is_not_there(admin_client, customer, odd):
    with tenant_scope(customer.tenant.id):
        Anomaly.objects.filter(pk=odd.pk).update(tenant=make_tenant("Stranger"))
    for url in (reverse("spend:anomaly", args=[odd.pk]), f"/api/v1/anomalies/{odd.pk}"):
        assert admin_client.get(url).status_code == 404
    assert (
        admin_client.post(reverse("spend:anomaly_settle", args=[odd.pk]), {"verdict": "dismissed"}).status_code == 404
    )
    assert "No anomalies" in text_of(admin_client.get(reverse("spend:anomalies")))


def test_the_api_lists_and_settles(admin_client, customer, odd):
    found = admin_client.get("/api/v1/anomalies?status=open").json()["items"]
    assert [(each["id"], each["charge_usd"], each["expected_usd"]) for each in found] == [
        (odd.pk, "50.000000000000", "2.000000000000")
    ]
    answer = admin_client.post(
        f"/api/v1/anomalies/{odd.pk}/settle", {"verdict": "confirmed", "note": "x"}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["status"]) == (200, "confirmed")
    assert admin_client.get("/api/v1/anomalies?status=open").json()["items"] == []


def test_without_clickhouse_the_page_says_so(admin_client, customer, odd, settings):
    settings.CLICKHOUSE_URL = "clickhouse://127.0.0.1:1/spendops"
    forget_connections()
    answer = admin_client.get(reverse("spend:anomaly", args=[odd.pk]))
    assert answer.status_code == 503
    assert "25.0×" in text_of(answer)
    forget_connections()
