"""Overrides through the API, by a program that a platform admin allowed it."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from pricing.actions.sync import sync_prices
from pricing.queries_overrides import newest_version
from tests.pricing.catalogues import acme
from tests.pricing.conftest import SYNC, Given
from tests.tenants.making import make_tenant, service_token

pytestmark = pytest.mark.django_db


class Program:
    """A program with a token of one tenant."""

    def __init__(self, tenant, *scopes: str) -> None:
        token = service_token(tenant, *(scopes or ("overrides.view", "overrides.change"))).text
        self._client = Client(headers={"authorization": f"Bearer {token}"})

    def __call__(self, method: str, path: str = "", body: object = None):
        data = json.dumps(body) if body is not None else ""
        return self._client.generic(method, f"/api/v1/overrides{path}", data, content_type="application/json")


@pytest.fixture
def tenant(db):
    sync_prices(Given(acme()), by=SYNC)
    return make_tenant()


@pytest.fixture
def program(tenant) -> Program:
    return Program(tenant)


DISCOUNT = {
    "name": "Discount",
    "kind": "percent",
    "percent": "-12.5",
    "provider": "acme",
    "starts_at": "2026-01-01T00:00:00Z",
}


def test_an_override_is_created_read_changed_and_archived(tenant, program):
    made = program("POST", "", DISCOUNT)
    assert made.status_code == 201, made.content
    row = made.json()
    assert (row["percent"], row["prices"], row["model"], row["version"], row["ends_at"]) == ("-12.5", {}, "*", 1, None)
    assert program("GET", f"/{row['id']}").json() | {"created_at": row["created_at"]} == row
    prices = {"input": "0.123456", "web_searches": "0.01"}
    changed = program("PATCH", f"/{row['id']}", {"kind": "absolute", "prices": prices, "version": 1})
    assert changed.status_code == 200, changed.content
    assert (changed.json()["prices"], changed.json()["percent"]) == (prices, None)
    assert changed.json()["prices_pico"] == {"input": "123456", "web_searches": "10000000000"}
    assert program("PATCH", f"/{row['id']}", {"priority": 4}).json()["prices"] == prices
    stale = program("PATCH", f"/{row['id']}", {"priority": 5, "version": 1})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale")
    archived = program("POST", f"/{row['id']}/archive", {"version": 3}).json()
    assert archived["status"] == "archived"
    assert archived["ends_at"] is not None
    assert newest_version(tenant.id) == 4
    assert program("GET").json()["items"][0]["id"] == row["id"]
    assert program("GET", "?status=active").json()["items"] == []


def test_a_create_that_is_sent_again_is_done_once(tenant, program):
    token = service_token(tenant, "overrides.change").text
    client = Client(headers={"authorization": f"Bearer {token}", "idempotency-key": "a-very-request"})
    answers = [
        client.post("/api/v1/overrides", json.dumps(DISCOUNT), content_type="application/json").json() for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert newest_version(tenant.id) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"percent": "a lot"}, "percent"),
        ({"percent": "-100.01"}, "percent"),
        ({"kind": "absolute", "percent": None, "prices": {"input": "0.1234567891"}}, "prices"),
        ({"kind": "absolute", "percent": None, "prices": {"smells": "1"}}, "prices"),
        ({"kind": "gift"}, "kind"),
        ({"provider": "acne"}, "provider"),
        ({"ends_at": "2025-01-01T00:00:00Z"}, "ends_at"),
        ({"starts_at": "2026-01-01"}, "starts_at"),
        ({"project_id": "p_000000000000"}, "project"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field(tenant, program, change, field):
    answer = program("POST", "", DISCOUNT | change)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["field"] == field
    assert newest_version(tenant.id) == 0


def test_seeing_is_not_changing_and_strangers_see_nothing(tenant, program):
    row = program("POST", "", DISCOUNT).json()
    viewer = Program(tenant, "overrides.view")
    assert viewer("GET", f"/{row['id']}").status_code == 200
    assert viewer("POST", "", DISCOUNT).status_code == 403
    stranger = Program(make_tenant("Other"))
    assert stranger("GET").json()["items"] == []
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/archive")):
        assert stranger(method, f"/{row['id']}{path}", {}).status_code == 404
