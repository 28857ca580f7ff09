"""What a key was used for in the last 24 hours, as its page shows it."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from spend.clickhouse.errors import UnavailableError
from tests.spend.customer import Customer
from tests.tenants.company import Company


@pytest.fixture
def customer(admin_client, clickhouse) -> Customer:
    return Customer(admin_client.tenant, zone="Asia/Kolkata")


def text_of(response) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def test_requests_charge_and_the_last_call_are_told_with_a_bar_an_hour(admin_client, customer):
    other = customer.new_key("other", customer.project)
    customer.count(
        [
            customer.event(),
            customer.event(customer.now - timedelta(hours=3)),
            customer.event(customer.now - timedelta(hours=3, seconds=1)),
            customer.event(customer.now - timedelta(hours=5), cost=None, charge=None),
            customer.event(customer.now - timedelta(hours=25)),
            customer.event(key=other.pk),
        ]
    )
    answer = admin_client.get(f"/spend/keys/{customer.key.pk}/use")
    shown = text_of(answer)
    assert "Requests 4" in shown
    assert "$0.00012465" in answer.content.decode()
    assert "1 request without a price is not in the charge" in shown
    assert "Last call" in shown
    bars = answer.context["bars"]
    assert len(bars) == 24
    assert sum(bar.requests for bar in bars) == 4
    assert bars[-1].requests + bars[-2].requests >= 1
    assert max(bars, key=lambda bar: bar.requests).height == 44


def test_a_key_without_calls_says_so(admin_client, customer):
    assert "No call with this key" in text_of(admin_client.get(f"/spend/keys/{customer.key.pk}/use"))


def test_spend_data_out_of_reach_is_said(admin_client, customer, monkeypatch):
    def away(*_, **__):
        raise UnavailableError("away")

    monkeypatch.setattr("spend.views.key_use.key_use", away)
    assert "out of reach" in text_of(admin_client.get(f"/spend/keys/{customer.key.pk}/use"))


def test_a_developer_sees_the_use_of_own_keys_only(clickhouse, db):
    company = Company()
    developer, own = company.person("developer"), company.ids["key_id"]
    customer = Customer(company.tenant)
    assert developer.get(f"/spend/keys/{own}/use").status_code == 200
    assert developer.get(f"/spend/keys/{customer.key.pk}/use").status_code == 404
    assert company.person("stranger").get(f"/spend/keys/{customer.key.pk}/use").status_code == 404
