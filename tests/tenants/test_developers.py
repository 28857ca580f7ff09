"""A developer sees own keys and their usage, whatever the address asks for."""

from __future__ import annotations

import pytest

from tenants.models import ApiKey, Membership
from tenants.permissions import Role
from tenants.scope import tenant_scope
from tests.spend.customer import Customer
from tests.tenants.company import Company
from tests.tenants.test_key_pages import text
from wire.events import Denied

pytestmark = pytest.mark.django_db


@pytest.fixture
def company(db: None, clickhouse: None) -> Company:
    return Company()


@pytest.fixture
def customer(company) -> Customer:
    """Calls and refused calls of a key of the developer's, and more of another one's."""
    own = company.ids["key_id"]
    customer = Customer(company.tenant)
    customer.call(key=own, project=company.ids["project_id"], model_priced="own-model", cost="1.000000000000")
    customer.call(model_priced="foreign-model", cost="7.000000000000")
    customer.call(model_asked="foreign-unpriced", cost=None)
    customer.refuse(key=own, model_asked="own-refused", reason=Denied.BUDGET_EXHAUSTED)
    customer.refuse(model_asked="foreign-refused", reason=Denied.BUDGET_EXHAUSTED)
    return customer


@pytest.mark.parametrize(
    "address",
    [
        "/spend",
        "/spend?group=key",
        "/spend?group=project",
        "/spend?view=table",
        "/spend/data",
        "/requests",
        "/requests?key={foreign}",
        "/requests?model=foreign-model",
        "/requests/rows",
        "/denials",
        "/denials?key={foreign}",
        "/denials/rows",
        "/unpriced",
        "/keys",
        "/keys?q=checkout",
    ],
)
def test_nothing_of_others_is_shown(company, customer, address):
    page = text(company.person(Role.DEVELOPER).get(address.format(foreign=customer.key.id)))
    if "model=" in address:  # what was asked for is said back among the filters; its calls would show by their cost
        page = page.replace("model foreign-model", "").replace("own-model foreign-model", "")
    for foreign in ("foreign-", "checkout-web", "Checkout", "$7", "$8", customer.key.id):
        assert foreign not in page, foreign
    whole = text(company.person(Role.TENANT_ADMIN).get(address.format(foreign=customer.key.id)))
    assert any(foreign in whole for foreign in ("foreign-", "checkout-web", "Checkout", "$7", "$8"))


def test_own_usage_is_shown_with_its_sums(company, customer):
    developer = company.person(Role.DEVELOPER)
    overview = developer.get("/spend")
    assert overview.context["spend"].total.charge == 1
    assert (overview.context["spend"].total.requests, overview.context["fresh"].unpriced_requests) == (1, 0)
    assert "budgets-panel" not in overview.content.decode()
    assert "own-model" in text(developer.get("/requests"))
    assert "own-refused" in text(developer.get("/denials"))
    assert [key.name for key in developer.get("/keys").context["page"]] == ["Bot"]


def test_a_developer_without_keys_sees_nothing_and_a_key_given_shows_at_once(company, customer):
    developer = company.person(Role.DEVELOPER)
    with tenant_scope(company.tenant.id):
        ApiKey.objects.update(owner_id="")
    assert developer.get("/spend").context["spend"].total.requests == 0
    assert "own-model" not in text(developer.get("/requests"))
    assert developer.get("/keys").context["page"] == []
    with tenant_scope(company.tenant.id):
        ApiKey.objects.update(owner_id=developer.user.pk)
    assert developer.get("/spend").context["spend"].total.requests == 3


def test_a_second_role_adds_to_the_first_and_goes_with_the_next_request(company, customer):
    developer = company.person(Role.DEVELOPER)
    more = Membership.objects.create(user=developer.user, tenant=company.tenant, role=Role.FINANCE_VIEWER)
    assert developer.get("/spend").context["spend"].total.requests == 3
    assert developer.get("/budgets").status_code == 200
    more.delete()
    assert developer.get("/spend").context["spend"].total.requests == 1
    assert developer.get("/budgets").status_code == 403


def test_a_key_is_issued_for_a_member_and_for_nobody_else(company):
    admin, developer = company.person(Role.TENANT_ADMIN), company.person(Role.DEVELOPER)
    stranger = company.person("stranger").user.pk
    form = {"name": "Hers", "project": company.ids["project_id"], "env": "dev", "token": "once"}
    refused = admin.post("/keys/issue", form | {"owner": stranger})
    assert "owner" in refused.context["form"].errors
    assert "so_dev_" in text(admin.post("/keys/issue", form | {"owner": developer.user.pk}))
    assert [key.name for key in developer.get("/keys").context["page"]] == ["Hers", "Bot"]
    with tenant_scope(company.tenant.id):
        key = ApiKey.objects.get(name="Hers")
    assert str(developer.user) in text(admin.get(f"/keys/{key.id}"))
