"""Prices by the API: by hand, from tables, change sets with their decision, facts of models."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from pricing.actions.sync import sync_prices
from pricing.models import HandPrice, PriceBook
from pricing.queries import model_by_name
from tenants.permissions import Permission
from tests.pricing.catalogues import acme
from tests.pricing.conftest import SYNC, Given
from tests.tenants.making import make_tenant, service_token

pytestmark = pytest.mark.django_db

BY_HAND = {
    "provider": "acme",
    "model": "private-7b",
    "prices": [{"unit": "input", "price": "0.15"}, {"unit": "requests", "price": "0.01", "per": "unit"}],
    "starts": "2026-11-01",
}


SCOPES = (Permission.PRICES_CHANGE.value, Permission.PRICES_VIEW.value)


class Program:
    """A program with a token; one of every tenant names the tenant that it looks at."""

    def __init__(self, token: str, **headers: str) -> None:
        self._client = Client(headers={"authorization": f"Bearer {token}", **headers})

    def __getattr__(self, method: str) -> Any:
        def call(path: str, body: Any = None) -> Any:
            given = {} if body is None else {"data": body, "content_type": "application/json"}
            return getattr(self._client, method)(f"/api/v1{path}", **given)

        return call


@pytest.fixture
def tenant(db):
    return make_tenant("Acme")


@pytest.fixture
def admin(tenant) -> Program:
    sync_prices(Given(acme()), by=SYNC)
    return Program(service_token(None, *SCOPES).text, **{"x-spendops-tenant": tenant.id})


def test_a_token_of_one_tenant_changes_no_prices(admin, tenant):
    program = Program(service_token(tenant, *SCOPES).text)
    assert program.get("/prices/by-hand").status_code == 200
    answer = program.post("/prices/by-hand", BY_HAND)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_required")
    assert PriceBook.objects.count() == 1


def test_a_model_is_priced_changed_and_ended(admin):
    made = admin.post("/prices/by-hand", BY_HAND)
    assert made.status_code == 201, made.content
    told = made.json()
    assert (told["provider"], told["model"]) == ("acme", "private-7b")
    assert told["prices"] == {"input": 150_000, "requests": 10_000_000_000}
    changed = admin.patch(
        f"/prices/by-hand/{told['id']}", {"prices": [{"unit": "input", "price": "0.2"}], "starts": "2026-11-10"}
    )
    assert (changed.status_code, changed.json()["prices"]) == (200, {"input": 200_000})
    ended = admin.post(f"/prices/by-hand/{changed.json()['id']}/end", {"ends": "2026-12-01"})
    assert (ended.status_code, ended.json()["version"]) == (200, 4)
    listed = admin.get("/prices/by-hand").json()["items"]
    assert [(each["starts"], each["ends"]) for each in listed] == [
        ("2026-11-10", "2026-12-01"),
        ("2026-11-01", "2026-11-10"),
    ]
    assert admin.post("/prices/by-hand/999999/end", {"ends": "2026-12-01"}).status_code == 404


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prices": [{"unit": "input", "price": "-1"}]}, "cannot be negative"),
        ({"prices": [{"unit": "nonsense", "price": "1"}]}, "is not a unit"),
        ({"prices": [{"unit": "input", "price": "1"}, {"unit": "input", "price": "2"}]}, "priced twice"),
        ({"model": "small"}, "has a price of given already"),
        ({"ends": "2026-10-01"}, "end must lie after"),
    ],
)
def test_what_cannot_be_is_told_and_changes_nothing(admin, given, said):
    answer = admin.post("/prices/by-hand", BY_HAND | given)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert (HandPrice.objects.count(), PriceBook.objects.count()) == (0, 1)


def test_a_table_with_a_wrong_line_names_it(admin):
    table = "provider,model,unit,price\nacme,x,input,1\nacme,y,input,-1\nacme,z,input,1"
    answer = admin.post("/prices/by-hand/table", {"table": table})
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["3.price"]
    assert not HandPrice.objects.exists()
    answer = admin.post("/prices/by-hand/table", {"table": table.replace("-1", "1")})
    assert (answer.status_code, answer.json()) == (201, {"added": 3, "version": 2})


def test_a_change_set_is_read_and_approved(admin):
    waiting = sync_prices(Given(acme(input=300_000)), by=SYNC).waiting
    (shown, *_) = admin.get("/prices/syncs").json()["items"]
    assert (shown["id"], shown["status"], shown["digest"]) == (waiting.pk, "waiting", waiting.digest)
    (change,) = admin.get(f"/prices/changes?sync={waiting.pk}").json()["items"]
    assert (change["model"], change["basis_points"]) == ("small", 10_000)
    assert change["reason"] == "input tokens rise by 100%"
    stale = admin.post(f"/prices/syncs/{waiting.pk}/approve", {"digest": "0" * 64})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale")
    done = admin.post(f"/prices/syncs/{waiting.pk}/approve", {"digest": waiting.digest})
    assert (done.status_code, done.json()["status"], done.json()["version"]) == (200, "approved", 2)
    again = admin.post(f"/prices/syncs/{waiting.pk}/reject", {"digest": waiting.digest})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_a_model_is_described(admin):
    answer = admin.post("/prices/facts", {"provider": "acme", "model": "small", "facts": {"tier": "bulk"}})
    assert (answer.status_code, answer.json()["tier"]) == (200, "bulk")
    assert model_by_name("acme", "small").facts["tier"]["source"] == "by hand"
    wrong = admin.post("/prices/facts", {"provider": "acme", "model": "small", "facts": {"tier": "best"}})
    assert wrong.json()["errors"][0]["field"] == "1.tier"
    assert admin.post("/prices/facts", {"provider": "acme", "model": "no", "facts": {"tier": ""}}).status_code == 422
