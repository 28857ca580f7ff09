"""Who used a model, and the mix of use that models are compared at: fragments of the pages of prices."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest

from pricing.actions.sync import sync_prices
from pricing.compare import TOKENS_MOST, Mix
from pricing.models import Model
from pricing.queries import names_of_model
from spend.clickhouse import client
from spend.mix import own_mixes
from spend.queries.mix import ModelMix
from tenants.permissions import Role
from tests.pricing.catalogues import acme, catalogue, listed, provider
from tests.pricing.conftest import SYNC, Given
from tests.spend.customer import Customer
from tests.tenants.company import Company
from wire.events import Status

pytestmark = pytest.mark.django_db

SMALL = "/spend/model-users/acme/small"


@pytest.fixture
def company(db, clickhouse) -> Company:
    sync_prices(Given(acme(3)), by=SYNC)
    return Company()


def text(response) -> str:
    assert response.status_code == 200, response
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())))


def call(customer: Customer, model: str = "small", **fields):
    known = {"provider": "acme", "model_asked": model, "model_priced": model, "cost": "0.500000000000"}
    return customer.call(**(known | fields))


def test_a_tenant_is_told_its_own_projects_and_keys(company):
    admin, ours, theirs = company.person(Role.TENANT_ADMIN), Customer(company.tenant), Customer(company.strangers)
    second = ours.new_key("second", ours.new_project("Search"))
    for _ in range(3):
        call(ours, charge="0.250000000000")
    call(ours, key=second.pk, project=second.project_id)
    call(ours, at=ours.now - timedelta(days=29))
    call(ours, at=ours.now - timedelta(days=31))
    call(ours, "model-1")
    call(theirs)
    assert 'hx-get="/spend/model-users/acme/small"' in admin.get("/pricing/acme/small").content.decode()
    page = admin.get(SMALL)
    assert "checkout-web Checkout 4 340 $2.00 $1.25 second Search 1 85 $0.50 $0.50 All 5 425 $2.50 $1.75" in text(page)
    assert f"/requests?period=30d&amp;key={second.pk}&amp;model=small" in page.content.decode()
    assert "Strangers" not in text(page)


def test_unpriced_calls_are_said_and_long_lists_are_cut(company, monkeypatch):
    ours = Customer(company.tenant)
    call(ours, cost=None, charge=None, model_priced="")
    for number in range(3):
        call(ours, key=ours.new_key(f"key-{number}", ours.project).pk)
    monkeypatch.setattr("spend.views.model_use.USERS_SHOWN", 2)
    page = text(company.person(Role.FINANCE_VIEWER).get(SMALL))
    assert "All, 2 more among them 4" in page
    assert "1 call without a price is in neither amount." in page


def test_a_developer_is_told_about_own_keys_only(company):
    own = {"key": company.ids["key_id"], "project": company.ids["project_id"]}
    ours, developer = Customer(company.tenant), company.person(Role.DEVELOPER)
    call(ours)
    assert "No call with your own keys." in text(developer.get(SMALL))
    call(ours, **own)
    page = text(developer.get(SMALL))
    assert "Bot Default 1 85" in page
    assert "checkout-web" not in page
    mix = text(developer.get("/spend/own-mix"))
    assert "your own keys' last 30 days All models 1 call of 21 input" in mix


def test_a_platform_admin_is_told_the_tenants(company):
    ours, theirs = Customer(company.tenant), Customer(company.strangers)
    call(ours)
    for _ in range(2):
        call(theirs)
    page = text(company.person(Role.PLATFORM_ADMIN).get(SMALL))
    assert "All tenants" in page
    assert "Strangers Ltd 2 170 $1.00 $1.00 Ours 1 85 $0.50 $0.50 All 3" in page
    assert "Checkout" not in page


def test_what_nobody_used_and_what_does_not_exist(company):
    assert "No tenant called it." in text(company.person(Role.PLATFORM_ADMIN).get(SMALL))
    assert "No call of it." in text(company.person(Role.TENANT_ADMIN).get(SMALL))
    assert company.person(Role.TENANT_ADMIN).get("/spend/model-users/acme/nothing").status_code == 404


def test_calls_at_a_provider_that_borrows_the_price_count(db):
    borrower = provider("reseller", listed("other", input=1), fallbacks=("acme",))
    own = provider("broker", listed("acme/small", input=1), fallbacks=("acme",))
    sync_prices(Given(catalogue(acme(2).providers[0], borrower, own)), by=SYNC)
    small = Model.objects.get(provider="acme", model_id="small")
    assert names_of_model(small) == [("acme", "small"), ("reseller", "acme/small")]


def test_while_spend_is_away_it_is_said(company, settings):
    settings.CLICKHOUSE_URL = "clickhouse://127.0.0.1:1/spendops"
    client.forget_connections()
    admin = company.person(Role.TENANT_ADMIN)
    assert "out of reach" in text(admin.get(SMALL))
    assert "out of reach" in text(admin.get("/spend/own-mix"))


def test_models_are_compared_at_the_use_of_the_last_30_days(company):
    admin, ours = company.person(Role.TENANT_ADMIN), Customer(company.tenant)
    call(ours, units={"input": 600, "cache_read": 400, "output": 50})
    call(ours, units={"input": 2_000, "output": 150})
    call(ours, "model-1", units={"input": 10, "output": 2})
    call(ours, units={}, cost="0.000000000000", status=Status.ERROR, http_status=500)
    call(ours, at=ours.now - timedelta(days=31), units={"input": 1_000_000})
    call(Customer(company.strangers), units={"input": 77_777})
    address = "/pricing/compare?model=acme%2Fsmall&model=acme%2Fmodel-2"
    fragment = unescape(re.search(r'hx-get="(/spend/own-mix[^"]*)"', admin.get(address).content.decode())[1])
    page = admin.get(fragment)
    assert (
        "All models 3 calls of 1,003 input (133 cached) and 67 output tokens on average"
        " acme/small 2 calls of 1,500 input (200 cached) and 100 output tokens on average"
        " acme/model-1 1 call of 10 input and 2 output tokens on average"
    ) in text(page)
    assert "aria-current" not in page.content.decode()
    link = unescape(re.search(r'href="([^"]*)">acme/small', page.content.decode())[1])
    assert link == f"{address}&input=1500&cached=200&output=100&requests=2"
    compared = admin.get(link)
    assert [each["compared"].per_request for each in compared.context["rows"]] == [
        1_300 * 2 + 200 * 2 + 100 * 4,
        1_500 * 150_000 + 100 * 600_000,
    ]
    fragment = unescape(re.search(r'hx-get="(/spend/own-mix[^"]*)"', compared.content.decode())[1])
    assert re.search(r'aria-current="true">acme/small<', admin.get(fragment).content.decode())


def test_without_calls_there_is_no_mix(company):
    admin = company.person(Role.TENANT_ADMIN)
    assert "There were no calls that used tokens." in text(admin.get("/spend/own-mix"))
    assert admin.get("/spend/own-mix?input=x&model=<script>").status_code == 200


def test_models_that_are_compared_come_first_and_a_mix_stays_within_what_can_be_compared():
    used = [ModelMix("a", f"m{number}", 10 - number, 100, 0, 1) for number in range(5)]
    found = own_mixes(used, wanted=[("a", "m4")], most=2)
    assert [each.name for each in found] == ["", "a/m4", "a/m0"]
    assert found[0].mix == Mix(13, 0, 0, 40)
    huge = own_mixes([ModelMix("a", "m", 1, 10**9, 10**9, 10**9)], wanted=(), most=2)[0].mix
    assert huge == Mix(TOKENS_MOST, TOKENS_MOST, TOKENS_MOST, 1)
