"""What would have been: beside the form of an override, on the page of a sync, and for budgets."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from budgets.models import BudgetPeriod
from pricing.actions.overrides import create_override
from pricing.actions.sync import sync_prices
from pricing.models import PriceSync
from pricing.override_rules import OverrideSettings
from spend.clickhouse import client
from spend.what_if import with_sync
from tenants.actions.tenants import create_tenant
from tenants.models import Tenant
from tenants.permissions import Role
from tenants.scope import across_tenants
from tests.budgets.making import NOON, make_budget
from tests.pricing.catalogues import acme, catalogue, listed, provider
from tests.pricing.conftest import SYNC, Given
from tests.spend.customer import Customer
from tests.tenants.company import Company

pytestmark = pytest.mark.django_db

PREVIEW = reverse("spend:override_preview")
FORM = {"name": "New", "kind": "percent", "percent": "15", "direction": "off"}
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _within_a_month(time_machine) -> None:
    """So that there is something left of it."""
    time_machine.move_to(NOON)


@pytest.fixture
def customer(admin_client, clickhouse) -> Customer:
    sync_prices(Given(acme(3)), by=SYNC)
    return Customer(admin_client.tenant)


def call(customer: Customer, model: str = "small", **fields):
    """A million tokens in: $0.15 of the small one."""
    usd = {"small": "0.150000000000", "model-1": "0.000001000000"}.get(model)
    known = {"provider": "acme", "model_asked": model, "units": {"input": 1_000_000}, "cost": usd}
    return customer.call(**(known | {"model_priced": model if usd else ""} | fields))


def text(response) -> str:
    assert response.status_code == 200, response
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())))


def waiting(**prices) -> PriceSync:
    sync = sync_prices(Given(acme(3, **prices)), by=SYNC).waiting
    assert sync is not None
    return sync


def test_the_form_is_told_what_it_would_have_made_of_30_days(admin_client, customer):
    for _ in range(4):
        call(customer, at=customer.now - timedelta(days=20))
    call(customer, "model-1")
    call(customer, at=customer.now - timedelta(days=31))  # is not of these days
    page = text(admin_client.post(PREVIEW, FORM | {"model": "small", "provider": "acme"}))
    assert "As they were $0.600001 5 calls" in page
    assert "With it $0.510001 4 calls concerned" in page
    assert "Difference −$0.09" in page
    assert "−15% of all spend" in page
    assert "small 4 $0.60 $0.51" in page
    assert "Complete until" in page
    assert "As if it had held on all 30 days" in page
    of_all = text(admin_client.post(PREVIEW, FORM | {"starts_at": "2031-01-01"}))
    assert "5 calls concerned" in of_all
    assert "It is for every model." in of_all
    assert "It means 2 models of the catalogue today: model-1, model-2." in text(
        admin_client.post(PREVIEW, FORM | {"model": "MODEL*"})
    )


def test_a_form_that_is_not_complete_is_told_what_it_lacks(admin_client, customer):
    lacking = text(admin_client.post(PREVIEW, {"name": "", "kind": "percent", "percent": "", "direction": "off"}))
    assert "Write a percentage, like 15." in lacking
    assert "Write a name" not in lacking
    assert "has no model 'smal'" in text(admin_client.post(PREVIEW, FORM | {"model": "smal"}))
    assert admin_client.get(PREVIEW).status_code == 405


def test_without_calls_there_is_nothing_to_compare(admin_client, customer):
    assert "no calls in the last 30 days" in text(admin_client.post(PREVIEW, FORM))
    call(customer)
    assert "No call of these days would have been charged otherwise" in text(
        admin_client.post(PREVIEW, FORM | {"model": "model-2"})
    )


def test_an_override_that_is_there_is_compared_with_itself_and_with_nothing(admin_client, customer):
    wanted = OverrideSettings(name="Half", kind="percent", basis_points=-5_000, starts_at=timezone.now())
    row = create_override(tenant=customer.tenant, wanted=wanted, by=SYNC)
    call(customer, at=customer.now + timedelta(milliseconds=-1), charge="0.150000000000")
    same = text(admin_client.post(PREVIEW, FORM | {"percent": "50", "override": row.pk}))
    assert "With it $0.075" in same
    away = text(admin_client.post(PREVIEW, {"without": row.pk}))
    assert "Without it" in away
    theirs = create_override(tenant=Tenant.objects.create(name="Theirs"), wanted=wanted, by=SYNC)
    for named in ("override", "without"):
        assert admin_client.post(PREVIEW, FORM | {named: theirs.pk}).status_code == 404


def test_a_price_that_moved_since_is_told_apart(admin_client, customer):
    call(customer, cost="0.140000000000")
    page = text(admin_client.post(PREVIEW, FORM))
    assert "$0.01 of the difference is not its doing" in page


def test_calls_without_a_price_are_told(admin_client, customer):
    call(customer, "unheard-of")
    page = text(admin_client.post(PREVIEW, FORM | {"model": "unheard*"}))
    assert "1 call would have no price" in page
    own = {"kind": "absolute", "price_unit_0": "input", "price_amount_0": "2"}
    priced = text(admin_client.post(PREVIEW, FORM | own | {"model": "unheard*"}))
    assert "With it $2.00" in priced
    assert "1 call had no price so far" in priced


def test_while_spend_is_away_the_form_says_so(admin_client, customer, settings):
    settings.CLICKHOUSE_URL = "clickhouse://127.0.0.1:1/spendops"
    client.forget_connections()
    sync = waiting(input=300_000)
    assert "Spend cannot be read at the moment" in text(admin_client.post(PREVIEW, FORM))
    page = text(admin_client.get(reverse("budgets:price_impact", args=[sync.pk])))
    assert "Spend cannot be read" in page
    assert "cannot be said" in page


def test_too_much_usage_is_said(admin_client, customer, monkeypatch):
    call(customer)
    monkeypatch.setattr("spend.what_if.BOUNDARIES_MOST", 0)
    assert "too much usage to compare at once" in text(admin_client.post(PREVIEW, FORM))


def test_before_the_first_price_book_it_says_what_to_do(admin_client, clickhouse):
    assert "There is no price book yet" in text(admin_client.post(PREVIEW, FORM))


def test_a_hostile_model_is_text(admin_client, customer):
    call(customer, HOSTILE)
    page = admin_client.post(PREVIEW, FORM | {"kind": "free", "model": "<script*"}).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert HOSTILE not in page


def test_a_sync_tells_a_platform_admin_about_every_tenant(admin_client, customer):
    second = Customer(create_tenant(name=f"Second {HOSTILE}", time_zone="UTC", by=SYNC))
    for _ in range(3):
        call(customer)
    call(second, charge="0.075000000000")
    sync = waiting(input=300_000)
    answer = admin_client.get(reverse("budgets:price_impact", args=[sync.pk]))
    page = text(answer)
    assert "Calls concerned 4 of 4" in page
    assert "Their cost $1.20 it was $0.60" in page
    assert "Their charge $1.20 it was $0.525" in page
    assert "Default 3 $0.45 $0.90 $0.45 $0.90 + $0.45" in page
    assert f"Second {HOSTILE} 1 $0.15 $0.30 $0.075 $0.30 + $0.225" in page
    assert HOSTILE not in answer.content.decode()
    assert 'hx-get="/budgets/price-impact/' in admin_client.get(f"/pricing/syncs/{sync.pk}").content.decode()
    assert admin_client.get(reverse("budgets:price_impact", args=[999_999])).status_code == 404
    assert admin_client.get("/budgets/price-impact/99999999999999999999").status_code == 404


def test_others_are_told_about_their_own_tenant_only(clickhouse, db):
    company = Company()
    assert company.ids
    ours, theirs = Customer(company.tenant), Customer(company.strangers)
    for each, number in ((ours, 1), (theirs, 5)):
        for _ in range(number):
            call(each)
    sync = PriceSync.objects.get(pk=company.ids["sync_id"])
    for role in (Role.TENANT_ADMIN, Role.FINANCE_VIEWER):
        page = text(company.person(role).get(reverse("budgets:price_impact", args=[sync.pk])))
        assert "of Ours, had these prices held" in page
        assert "Calls concerned 1 of 1" in page
        assert "Strangers" not in page
    assert "1 of 1" not in text(
        company.person(Role.PLATFORM_ADMIN).get(reverse("budgets:price_impact", args=[sync.pk]))
    )


def test_a_page_asks_once_what_its_prices_would_have_made(admin_client, customer, monkeypatch):
    call(customer)
    sync = waiting(input=300_000)
    asked = []
    monkeypatch.setattr("spend.views.what_if.with_sync", lambda *of, **more: asked.append(of) or with_sync(*of, **more))
    fragments = re.findall(
        r'hx-get="([^"]+impact[^"]*)"', admin_client.get(f"/pricing/syncs/{sync.pk}").content.decode()
    )
    for each in fragments:
        assert "Budgets it would break" in text(admin_client.get(each))
    assert len(asked) == 1


def test_nothing_concerned_is_said(admin_client, customer):
    call(customer, "model-1")
    sync = waiting(input=300_000)
    page = text(admin_client.get(reverse("budgets:price_impact", args=[sync.pk])))
    assert "None of the 1 call of these days would have cost otherwise" in page


def test_budgets_that_the_prices_would_break(admin_client, customer):
    """$30 in 30 days become $300: the 9.73 days that are left of the month bring as much of the $270 more."""
    for _ in range(2):
        call(customer, units={"input": 100_000_000}, cost="15.000000000000")
    other = make_budget(customer.tenant, name="Production only", amount="31", envs=["prod"])
    names = {
        "Lasts": make_budget(customer.tenant, name="Lasts", amount="10000"),
        "Breaks": make_budget(customer.tenant, name="Breaks", amount="31"),
        "Over": make_budget(customer.tenant, name="Over", amount="1"),
    }
    with across_tenants("a test spends"):
        for budget in names.values():
            BudgetPeriod.objects.filter(budget=budget).update(spent=2 * 10**12)
    sync = waiting(input=1_500_000)
    page = text(admin_client.get(reverse("budgets:price_impact", args=[sync.pk])))
    assert "Breaks Default $31.00 $2.00 $2.96 $90.52 Would break" in page
    assert "Would break" in page[page.index("Breaks") :]
    assert page.index("Would break") < page.index("Over Default")
    assert "Over anyway" in page
    assert "Lasts" not in page
    assert other.name not in page


def test_cheaper_prices_break_no_budget(admin_client, customer):
    call(customer)
    make_budget(customer.tenant, name="First", amount="1")
    sync = waiting(input=1)
    assert "None." in text(admin_client.get(reverse("budgets:price_impact", args=[sync.pk])))


def test_a_model_that_is_gone_has_no_price_in_the_answer(admin_client, clickhouse):
    sync_prices(Given(acme(20)), by=SYNC)
    customer = Customer(admin_client.tenant)
    call(customer, "model-1")
    models = [each for each in acme(20).providers[0].models if each.id != "model-1"]
    sync = sync_prices(
        Given(catalogue(provider("acme", *models), provider("new", listed("x", input=1)))), by=SYNC
    ).waiting
    page = text(admin_client.get(reverse("budgets:price_impact", args=[sync.pk])))
    assert "1 call would have no price, and count as nothing here" in page
