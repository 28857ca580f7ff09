"""Statements as pages and files: what is shown of an open month, sealing it, and what stands for ever."""

from __future__ import annotations

import json
import re

import pytest

from changes.models import AuditEvent
from spend.clickhouse import client
from spend.closing.run import seal_all
from spend.closing.statement import checksum
from spend.models import MonthSeal, Statement
from spend.rollup import recount
from tenants.scope import across_tenants
from tests.spend.customer import Customer
from tests.spend.test_pages_reratings import text_of
from tests.tenants.company import last_month


@pytest.fixture
def customer(admin_client, clickhouse) -> Customer:
    return Customer(admin_client.tenant, zone="Asia/Kolkata")


def finish() -> None:
    with across_tenants("tests"):
        while MonthSeal.objects.filter(state="sealing").exists():
            seal_all()
            while recount():
                pass


def test_from_a_running_total_to_a_sealed_statement(admin_client, customer):
    at = last_month(customer.tenant)
    month = f"{at:%Y-%m}"
    customer.call(at)
    customer.call(at, cost=None)
    customer.call()
    listed = text_of(admin_client.get("/statements"))
    assert listed.count("Open, not final") == 2

    page = admin_client.get(f"/statements/{month}")
    assert "Draft, not final." in text_of(page)
    assert "1 request with 85 tokens had no price" in text_of(page)
    draft = json.loads(admin_client.get(f"/statements/{month}/statement.json").content)
    assert draft["final"] is False
    assert b"Draft, not final" in admin_client.get(f"/statements/{month}/statement.html").content
    confirmed = re.search(r'name="confirmed" value="([^"]+)"', page.content.decode())[1]

    address = f"/statements/{month}/seal"
    assert admin_client.post(address, {"confirmed": confirmed}).status_code == 403
    refused = admin_client.confirmed_post(address, {"confirmed": "1/2/3"}, follow=True)
    assert "others than those that you confirmed" in text_of(refused)
    sealing = admin_client.confirmed_post(address, {"confirmed": confirmed}, follow=True)
    assert "Being sealed." in text_of(sealing)
    seen = re.search(r'hx-get="([^"]+)"', sealing.content.decode())[1].replace("&amp;", "&")
    assert admin_client.get(seen).status_code == 204
    finish()
    part = admin_client.get(seen)
    assert part.status_code == 200
    assert "<html" not in part.content.decode()

    with across_tenants("tests"):
        stored = Statement.objects.get()
    shown = text_of(admin_client.get(f"/statements/{month}"))
    assert stored.sha256 in shown
    assert "Seal " not in shown
    assert stored.sha256[:12] in text_of(admin_client.get("/statements"))
    body = admin_client.get(f"/statements/{month}/statement.json")
    assert body.content == bytes(stored.body)
    assert checksum(body.content) == stored.sha256
    pdf = admin_client.get(f"/statements/{month}/statement.pdf")
    assert (checksum(pdf.content), pdf.headers["Content-Type"]) == (stored.pdf_sha256, "application/pdf")
    assert stored.sha256 in admin_client.get(f"/statements/{month}/statement.html").content.decode()
    assert [event.kind for event in AuditEvent.objects.filter(target_kind="month").order_by("id")] == [
        "month.sealing_begun",
        "month.sealed",
    ]
    again = admin_client.confirmed_post(address, {"confirmed": confirmed}, follow=True)
    assert "is sealed already" in text_of(again)


def test_the_api_says_the_same(admin_client, customer):
    at = last_month(customer.tenant)
    month = f"{at:%Y-%m}"
    customer.call(at)
    [this, last] = admin_client.get("/api/v1/statements").json()["months"]
    assert (last["month"], last["state"], last["charge_usd"], this["requests"]) == (month, "open", "0.000041550000", 0)
    admin_client.step_up()
    totals = {"charge_usd": "0.000041550000", "requests": 1, "unpriced_requests": 0}
    wrong = admin_client.send(f"/api/v1/statements/{month}/seal", totals | {"requests": 2})
    assert wrong.status_code == 409
    sealed = admin_client.send(f"/api/v1/statements/{month}/seal", totals)
    assert (sealed.status_code, sealed.json()["state"]) == (200, "sealing"), sealed.content
    finish()
    found = admin_client.get(f"/api/v1/statements/{month}").json()
    assert found["month"]["state"] == "sealed"
    assert found["statement"]["totals"]["total"]["charge_usd"] == "0.000041550000"
    file = admin_client.get(f"/api/v1/statements/{month}/file?kind=pdf")
    assert checksum(file.content) == found["month"]["pdf_sha256"]
    assert admin_client.get("/api/v1/statements/1999-01").status_code == 404


def test_a_month_that_is_too_much_to_sum_up_is_no_mistake_of_ours(admin_client, customer, monkeypatch):
    at = last_month(customer.tenant)
    for model in ("gpt-4o", "gpt-4o-mini", "gpt-5"):
        customer.call(at, model_asked=model, model_priced=model)
    monkeypatch.setitem(client._QUESTION, "max_result_rows", 1)
    page = admin_client.get(f"/statements/{at:%Y-%m}")
    assert page.status_code == 422
    assert "too much to sum up" in text_of(page)
    answer = admin_client.get(f"/api/v1/statements/{at:%Y-%m}")
    assert (answer.status_code, answer.json()["code"]) == (422, "too_much")


def test_pages_without_clickhouse_say_so(admin_client, customer, settings):
    at = last_month(customer.tenant)
    customer.call(at)
    settings.SPEND_PAGES = False
    for address in ("/statements", f"/statements/{at:%Y-%m}", f"/statements/{at:%Y-%m}/statement.pdf"):
        page = admin_client.get(address)
        assert page.status_code == 503, address
        assert "Calls go on" in text_of(page), address
    month = f"{at:%Y-%m}"
    spend = ("spend", "spend/tenants", "spend/movers", "usage", "denials", "cost-centres/outcome")
    for address in (*spend, "statements", f"statements/{month}", f"statements/{month}/file"):
        answer = admin_client.get(f"/api/v1/{address}")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), address
