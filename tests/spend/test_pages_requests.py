"""Requests, their receipts, denials and unpriced models, as pages show them."""

from __future__ import annotations

import html
import re
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse

from bench.parts._keys import add_keys
from changes.actor import Actor
from pricing.actions.sync import sync_prices
from pricing.sources.genai_prices import GenaiPrices
from spend.clickhouse.client import forget_connections
from spend.views.requests import A_PAGE
from tenants.models import ApiKey
from tenants.scope import tenant_scope
from tests.spend.customer import Customer
from wire.events import Denied, Status


@pytest.fixture
def customer(admin_client, clickhouse) -> Customer:
    return Customer(admin_client.tenant, zone="Asia/Kolkata")


def text_of(response) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def listed(response) -> list[str]:
    """The event ids in the list, in their order."""
    return re.findall(r'<a class="row-link" href="/requests/([0-9a-f-]{36})"', response.content.decode())


def link(response, text: str) -> str:
    return html.unescape(re.search(rf'href="([^"]+)"[^>]*>{text}<', response.content.decode())[1])


# -- one request -----------------------------------------------------------------------------------------------------


def test_a_request_explains_its_cost_by_hand(admin_client, customer):
    sync_prices(GenaiPrices(), by=Actor.system("tests"))
    event = customer.call(tags={"feature": "summary"}, end_user="u-42")
    page = admin_client.get(f"/requests/{event.event_id}")
    text = text_of(page)
    assert "21 × 150,000 + 64 × 600,000 = 41,550,000 pico-USD" in text
    assert "input tokens 21 150,000 $0.15 3,150,000" in text
    assert "output tokens 64 600,000 $0.60 38,400,000" in text
    assert "$0.00004155" in text
    assert "The event's cost is the one that counts" not in text
    source = re.search(r'from <a href="(https://[^"]+)"[^>]*>genai-prices</a>', page.content.decode())
    assert source, "the price's source is a link"
    assert re.search(r"seen <time datetime=", page.content.decode())
    for fact in ("Price book 1", "feature=summary", "u-42", "Checkout", "checkout-web", event.request_id, "840 ms"):
        assert fact in text


def test_a_cost_that_the_price_book_does_not_come_to_is_told(admin_client, customer):
    sync_prices(GenaiPrices(), by=Actor.system("tests"))
    event = customer.call(cost="0.5")
    assert "The event says $0.50, the price book comes to $0.00004155" in text_of(
        admin_client.get(f"/requests/{event.event_id}")
    )


def test_an_unpriced_request_says_that_it_is_not_free(admin_client, customer):
    event = customer.call(cost=None, model_asked="acme-private-7b")
    text = text_of(admin_client.get(f"/requests/{event.event_id}"))
    assert "unpriced is not free" in text
    assert "no price was known for its model" in text


def test_a_call_that_used_nothing(admin_client, customer):
    event = customer.call(units={}, cost="0", status=Status.ERROR, http_status=503)
    text = text_of(admin_client.get(f"/requests/{event.event_id}"))
    assert "nothing to price" in text
    assert "Provider error" in text


def test_strangers_requests_and_those_that_never_were_are_not_found(admin_client, customer):
    theirs = customer.event(tenant="t_stranger01")
    customer.count([theirs])
    assert admin_client.get(f"/requests/{theirs.event_id}").status_code == 404
    assert admin_client.get(f"/requests/{customer.event().event_id}").status_code == 404
    assert admin_client.get(f"/requests/{uuid.uuid4()}").status_code == 404


# -- the list --------------------------------------------------------------------------------------------------------


def test_requests_are_listed_newest_first_page_by_page(admin_client, customer):
    events = [customer.event(customer.now - timedelta(seconds=number)) for number in range(2 * A_PAGE + 3)]
    customer.count(events)
    ids = [event.event_id for event in events]
    page = admin_client.get("/requests?period=7d")
    assert listed(page) == ids[:A_PAGE]
    assert "data-live" in page.content.decode()
    second = admin_client.get(link(page, "Older"))
    assert listed(second) == ids[A_PAGE : 2 * A_PAGE]
    assert "data-live" not in second.content.decode()
    third = admin_client.get(link(second, "Older"))
    assert listed(third) == ids[2 * A_PAGE :]
    assert ">Older<" not in third.content.decode()
    assert listed(admin_client.get(link(third, "Newest"))) == ids[:A_PAGE]


def test_the_list_can_be_narrowed(admin_client, customer):
    other = customer.new_key("batch", customer.new_project("Batch"), env="prod")
    plain = customer.call()
    odd = customer.call(
        env="prod",
        key=other.id,
        project=other.project_id,
        model_asked="claude-sonnet-4-5",
        model_priced="claude-sonnet-4-5",
        provider="anthropic",
        status=Status.ERROR,
        http_status=529,
        upstream_request_id="up_7",
    )
    queries = {
        "env": "prod",
        "key": other.id,
        "project": other.project_id,
        "model": "claude-sonnet-4-5",
        "status": "error",
        "search": odd.request_id,
    }
    for name, value in queries.items():
        assert listed(admin_client.get("/requests", {"period": "7d", name: value})) == [odd.event_id], name
    for found in (odd.event_id, "up_7"):
        assert listed(admin_client.get("/requests", {"period": "7d", "search": found})) == [odd.event_id]
    assert listed(admin_client.get("/requests?period=7d")) == [odd.event_id, plain.event_id]
    assert "Nothing matches these filters" in text_of(admin_client.get("/requests?period=7d&search=nope"))


def test_a_page_end_that_is_no_id_shows_the_first_page(admin_client, customer):
    event = customer.call()
    customer.refuse(reason=Denied.RATE_LIMITED)
    assert listed(admin_client.get("/requests?period=7d&before='x")) == [event.event_id]
    assert admin_client.get("/denials?period=7d&before='x").status_code == 200


@pytest.mark.parametrize(("page", "part"), [("/requests", "request-rows"), ("/denials", "denial-rows")])
def test_lists_are_told_what_is_new(admin_client, customer, page, part):
    customer.call()
    customer.refuse(reason=Denied.RATE_LIMITED)
    shown = admin_client.get(f"{page}?period=7d").content.decode()
    address = html.unescape(re.search(rf'id="{part}"[^>]*hx-get="([^"]+)"', shown)[1])
    assert admin_client.get(address).status_code == 204
    customer.call()
    customer.refuse(reason=Denied.BUDGET_EXHAUSTED)
    answer = admin_client.get(address)
    assert answer.status_code == 200
    assert "<html" not in answer.content.decode()


# -- denials and unpriced models -------------------------------------------------------------------------------------


def test_denials_by_reason_and_one_by_one(admin_client, customer):
    for reason in (Denied.RATE_LIMITED, Denied.RATE_LIMITED, Denied.BUDGET_EXHAUSTED):
        customer.refuse(reason=reason)
    customer.refuse(reason=Denied.KEY_REVOKED, tenant="t_stranger01")
    text = text_of(admin_client.get("/denials?period=7d"))
    assert "By reason" in text
    assert "Rate limit reached 2 Budget used up 1" in text
    assert "Key revoked 1" not in text
    narrowed = admin_client.get("/denials?period=7d&reason=budget_exhausted")
    assert narrowed.content.decode().count("status-bad") == 1


def test_without_denials(admin_client, customer):
    assert "Nothing was refused" in text_of(admin_client.get("/denials"))
    assert "Nothing matches these filters" in text_of(admin_client.get("/denials?reason=rate_limited"))


def test_unpriced_models(admin_client, customer):
    assert "Every request has a price" in text_of(admin_client.get("/unpriced?of=tenant"))
    first = customer.now - timedelta(days=2)
    customer.call(first, cost=None, model_asked="acme-private-7b", provider="mistral")
    customer.call(cost=None, model_asked="acme-private-7b", provider="mistral")
    customer.call()
    page = admin_client.get("/unpriced?of=tenant")
    assert "acme-private-7b mistral dev 2 170" in text_of(page)
    assert len(listed(admin_client.get(link(page, "acme-private-7b")))) == 2


def test_every_page_needs_a_passkey(client, db):
    for address in ("/spend", "/spend/data", "/requests", "/requests/rows", "/denials", "/unpriced"):
        assert client.get(address, headers={"accept": "text/html"}).status_code == 302
        assert client.get(address, headers={"accept": "text/html", "hx-request": "true"}).status_code in (302, 401)


# -- one key of many -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["/requests", "/denials"])
def test_a_key_is_found_by_its_id_or_name_and_only_some_are_offered(admin_client, customer, page):
    project = customer.new_project("Many")
    batch = customer.new_key("Batch", project)
    add_keys(admin_client.tenant, project, 300, env="dev", publish=False)
    with tenant_scope(admin_client.tenant.id):
        ApiKey.objects.filter(pk=batch.id).update(last_used_at=customer.now)
    twins = [customer.new_key("twin", project), customer.new_key("twin", project)]
    event = customer.call(key=batch.id, project=batch.project_id)
    customer.call()
    for asked in (batch.id, "Batch", "batch"):
        answer = admin_client.get(page, {"period": "7d", "key": asked})
        assert "API key Batch" in text_of(answer) or "api key Batch" in text_of(answer)
        assert page == "/denials" or listed(answer) == [event.event_id]
    assert re.findall(r'<option value="([^"]+)">Batch</option>', answer.content.decode()) == [batch.id]
    assert answer.content.decode().count("<option") < 200
    for asked, said in (("nobody", "There is no such key"), ("twin", "Several keys are called so")):
        answer = admin_client.get(page, {"period": "7d", "key": asked})
        assert said in text_of(answer)
        assert listed(answer) == []
    assert "There is no such key" not in text_of(admin_client.get(page, {"key": twins[0].id}))


# -- narrowed by whatever a view of spend was narrowed to --------------------------------------------------------------


def test_the_list_can_be_narrowed_by_every_dimension(admin_client, customer):
    plain = customer.call(end_user="ann", tags={"team": "ads"})
    odd = customer.call(
        tags={"team": "search"}, tier="bulk", http_status=529, end_user="bob", service_tier="flex", route="/v1/messages"
    )
    for name, value in {
        "tag:team": "search",
        "tier": "bulk",
        "http_status": "529",
        "end_user": "bob",
        "service_tier": "flex",
        "route": "/v1/messages",
        "not-tag:team": "ads",
        "not-end_user": "ann",
    }.items():
        page = admin_client.get("/requests", {"period": "7d", name: value})
        assert listed(page) == [odd.event_id], name
    assert listed(admin_client.get("/requests?period=7d&none=tier")) == [plain.event_id]
    assert listed(admin_client.get("/requests?period=7d&end_user=ann&end_user=bob")) == [odd.event_id, plain.event_id]
    assert listed(admin_client.get("/requests?period=7d&model=gpt-4o-mini&model=other&end_user=ann")) == [
        plain.event_id
    ]


def test_a_filter_that_was_taken_over_is_named_kept_and_can_be_taken_away(admin_client, customer):
    customer.call(tags={"team": "ads"})
    page = admin_client.get("/requests?period=7d&tag:team=search&env=dev")
    assert "Tag “team” search" in text_of(page)
    assert "Nothing matches these filters" in text_of(page)
    assert '<input type="hidden" name="tag:team" value="search">' in page.content.decode()
    away = html.unescape(re.search(r'href="([^"]+)" aria-label="Remove the filter Tag', page.content.decode())[1])
    assert away == "/requests?period=7d&env=dev"


def test_days_of_another_zone(admin_client, customer):
    late = customer.midnight - timedelta(minutes=10)  # yesterday in Kolkata, and in UTC as well
    event = customer.call(late)
    day = late.date().isoformat()
    assert listed(admin_client.get(f"/requests?period=custom&first={day}&last={day}")) == [event.event_id]
    chatham = f"/requests?period=custom&first={day}&last={day}&zone=Pacific/Chatham"
    assert listed(admin_client.get(chatham)) == []
    assert "Days in Pacific/Chatham" in text_of(admin_client.get(chatham))


@pytest.mark.parametrize("query", ["zone=Mars/Olympus", "tag:=x", "none=nonsense", "end_user=" + "x" * 600])
def test_a_filter_that_cannot_be_taken_lets_nothing_in(admin_client, customer, query):
    customer.call()
    page = admin_client.get(f"/requests?period=7d&{query}")
    assert page.status_code == 200
    assert listed(page) == []
    assert 'role="alert"' in page.content.decode()


def test_pages_about_spend_fetch_how_fresh_it_is(admin_client, customer, settings):
    for name in ("requests", "denials", "unpriced", "exports", "imports", "reconcile"):
        page = admin_client.get(reverse(f"spend:{name}")).content.decode()
        assert f'hx-get="{reverse("spend:freshness")}"' in page, name
    customer.call(cost=None)
    line = text_of(admin_client.get(reverse("spend:freshness")))
    assert "Data to" in line
    assert "1 unpriced" in line
    settings.CLICKHOUSE_URL = "clickhouse://127.0.0.1:1/spendops"
    forget_connections()
    assert "out of reach" in text_of(admin_client.get(reverse("spend:freshness")))
    forget_connections()
