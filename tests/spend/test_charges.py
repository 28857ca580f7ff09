"""How a charge came about, on an event's page and in the API, from the overrides of the event's own version."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from pricing.actions.overrides import archive_override, create_override
from pricing.actions.sync import sync_prices
from pricing.override_rules import OverrideSettings
from pricing.sources.genai_prices import GenaiPrices
from tests.pricing.conftest import SYNC
from tests.spend.customer import Customer
from tests.tenants.making import SOMEBODY, make_tenant, service_token

pytestmark = pytest.mark.django_db

TENTH_OFF = "0.000037395000"


@pytest.fixture
def customer(admin_client, clickhouse) -> Customer:
    sync_prices(GenaiPrices(), by=SYNC)
    return Customer(admin_client.tenant)


def text_of(response) -> str:
    assert response.status_code == 200
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def override(customer: Customer, name: str = "Volume discount", **fields):
    settings = {"kind": "percent", "basis_points": -1000, "starts_at": timezone.now() - timedelta(days=1)} | fields
    return create_override(tenant=customer.tenant, wanted=OverrideSettings(name=name, **settings), by=SOMEBODY)


def explanation(tenant, event) -> dict:
    token = service_token(tenant, "spend.view").text
    answer = Client(headers={"authorization": f"Bearer {token}"}).get(f"/api/v1/usage/{event.event_id}/explanation")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_the_page_says_which_override_and_reckons_with_its_prices(admin_client, customer):
    row = override(customer)
    event = customer.call(charge=TENTH_OFF, override_version=1)
    archive_override(override=row, by=SOMEBODY)  # the event's own version still explains it
    text = text_of(admin_client.get(f"/requests/{event.event_id}"))
    assert "21 × 150,000 + 64 × 600,000 = 41,550,000 pico-USD" in text
    assert "21 × 135,000 + 64 × 540,000 = 37,395,000 pico-USD" in text
    assert "The override “Volume discount” applies: 10% off the list price (version 1)." in text
    assert "$0.000037395 is charged in place of $0.00004155." in text
    assert "is the one that counts" not in text


def test_without_an_override_nothing_is_said_of_charges(admin_client, customer):
    event = customer.call()
    text = text_of(admin_client.get(f"/requests/{event.event_id}"))
    assert "How the cost came about" in text
    assert "How the charge came about" not in text


def test_a_charge_that_its_override_does_not_come_to_is_told(admin_client, customer):
    override(customer)
    event = customer.call(charge="0.5", override_version=1)
    text = text_of(admin_client.get(f"/requests/{event.event_id}"))
    assert "The event says $0.50, the override comes to $0.000037395. The event's charge is the one that counts" in text
    lost = customer.call(charge="0.5", override_version=9)
    assert "no version 9 of its overrides" in text_of(admin_client.get(f"/requests/{lost.event_id}"))


def test_a_charge_without_a_cost_is_explained_alone(admin_client, customer):
    override(customer, kind="absolute", basis_points=0, prices={"input": 10, "output": 20}, model="acme*")
    event = customer.call(
        model_asked="acme-7b", model_priced="", cost=None, charge=f"0.{21 * 10 + 64 * 20:012d}", override_version=1
    )
    text = text_of(admin_client.get(f"/requests/{event.event_id}"))
    assert "no price was known for its model" in text
    assert "21 × 10 + 64 × 20 = 1,490 pico-USD" in text
    assert "Charged $0.00000000149 what the provider charges is not known" in text


def test_an_unknown_charge_is_told(admin_client, customer):
    event = customer.call(charge=None)
    text = text_of(admin_client.get(f"/requests/{event.event_id}"))
    assert "the gateway could not read this tenant's overrides" in text
    assert "Charged not known the provider charges $0.00004155" in text


def test_the_api_gives_both_with_every_digit(customer):
    row = override(customer)
    event = customer.call(charge=TENTH_OFF, override_version=1)
    found = explanation(customer.tenant, event)
    assert (found["event_id"], found["cost_usd"], found["charge_usd"]) == (
        str(event.event_id),
        "0.000041550000",
        TENTH_OFF,
    )
    assert found["cost"]["total_pico"] == "41550000"
    assert (found["charge"]["total_pico"], found["charge"]["total_usd"]) == ("37395000", TENTH_OFF)
    assert found["charge"]["override"] == {
        "id": row.pk,
        "name": "Volume discount",
        "kind": "percent",
        "effect": "10% off the list price",
    }
    assert [(line["unit"], line["count"], line["price_pico"]) for line in found["charge"]["lines"]] == [
        ("input", 21, "135000"),
        ("output", 64, "540000"),
    ]
    assert found["cost"]["source"]["url"].startswith("https://")
    assert found["cost"]["agrees"]
    assert found["charge"]["agrees"]


def test_the_api_says_why_something_is_not_explained(customer):
    found = explanation(customer.tenant, customer.call(model_priced="", cost=None, charge=None))
    assert (found["cost"], found["charge"]) == (None, None)
    assert "no price was known" in found["why_no_cost"]
    assert "no price was known" in found["why_no_charge"]
    free = explanation(customer.tenant, customer.call(units={}, cost="0", charge="0"))
    assert "nothing to price" in free["why_no_charge"]
    unread = explanation(customer.tenant, customer.call(charge=None))
    assert (unread["cost"]["agrees"], unread["charge"]) == (True, None)
    assert "could not read this tenant's overrides" in unread["why_no_charge"]
    override(customer)
    other = explanation(customer.tenant, customer.call(charge="0.5", override_version=1))
    assert (other["charge"]["agrees"], other["charge"]["total_usd"]) == (False, TENTH_OFF)


def test_the_api_knows_no_events_of_others(customer):
    event = customer.call()
    token = service_token(make_tenant("Other"), "spend.view").text
    answer = Client(headers={"authorization": f"Bearer {token}"}).get(f"/api/v1/usage/{event.event_id}/explanation")
    assert answer.status_code == 404
