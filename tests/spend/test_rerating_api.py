"""Re-ratings through the API, by programs that a platform admin allowed it."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from changes.actor import Actor
from changes.models import AuditEvent
from pricing.actions.by_hand import add_hand_price
from spend.models import Rerating
from spend.queries.requests import request_by_id
from spend.rerating.run import work_off
from tenants.models import Tenant
from tests.pricing.catalogues import acme
from tests.pricing.conftest import sync_and_approve
from tests.spend.customer import Customer
from tests.tenants.making import make_tenant, service_token

pytestmark = pytest.mark.django_db

BY = Actor("user", "u_somebody0001", role="platform_admin")
PRIVATE = {"cost": None, "provider": "acme", "model_asked": "private-7b", "units": {"input": 10, "output": 5}}
MORE = 10 * 100 + 5 * 200  # pico-USD of such a call, once it has a price


class Program:
    """A program with a token: of every tenant, or of one."""

    def __init__(self, tenant: Tenant | None, of: Tenant, *scopes: str, confirmed: bool = True) -> None:
        text = service_token(tenant, *(scopes or ("prices.change",)), confirmed=confirmed).text
        self._client = Client(headers={"authorization": f"Bearer {text}", "x-spendops-tenant": of.id})

    def __call__(self, method: str, path: str = "", body: object = None, **headers: str):
        data = json.dumps(body) if body is not None else ""
        return self._client.generic(
            method, f"/api/v1/reratings{path}", data, content_type="application/json", headers=headers
        )


@pytest.fixture
def customer(clickhouse) -> Customer:
    sync_and_approve(acme())
    return Customer(make_tenant("First"))


@pytest.fixture
def program(customer) -> Program:
    return Program(None, customer.tenant)


def span(**more: object) -> dict[str, object]:
    now = timezone.now()
    return {"begin": (now - timedelta(days=2)).isoformat(), "end": now.isoformat()} | more


def price_it() -> None:
    starts = timezone.now().date() - timedelta(days=60)
    add_hand_price(provider="acme", model="private-7b", prices={"input": 100, "output": 200}, starts=starts, by=BY)


def test_a_dry_run_says_what_it_found_by_tenant_and_is_applied_as_it_was_read(customer, program):
    other = Customer(make_tenant("Second"))
    calls = [customer.event(**PRIVATE), customer.event(**PRIVATE), other.event(**PRIVATE)]
    customer.count(calls)
    price_it()
    begun = program("POST", "", span(provider="acme", model="private-7b", unpriced_only=True))
    assert begun.status_code == 201, begun.content
    job = begun.json()
    assert (job["dry_run"], job["status"], job["total"], job["appliable"]) == (True, "waiting", None, False)
    assert program("POST", f"/{job['id']}/apply", {"difference_pico": "0"}).status_code == 409, "it has not finished"

    work_off(job["id"])
    found = program("GET", f"/{job['id']}").json()
    assert (found["status"], found["calls"], found["changed"], found["appliable"]) == ("done", 3, 3, True)
    assert found["sums"] == {
        "calls": 3,
        "changed": 3,
        "cost_before_pico": "0",
        "cost_after_pico": str(3 * MORE),
        "charge_before_pico": "0",
        "charge_after_pico": str(3 * MORE),
        "difference_pico": str(3 * MORE),
        "unpriced_before": 3,
        "unpriced_after": 0,
    }
    first = program("GET", f"/{job['id']}/tenants?limit=1").json()
    second = program("GET", f"/{job['id']}/tenants?limit=1&cursor={first['next']}").json()
    sums = {row["tenant"]: row["difference_pico"] for row in first["items"] + second["items"]}
    assert sums == {customer.tenant.id: str(2 * MORE), other.tenant.id: str(MORE)}

    wrong = program("POST", f"/{job['id']}/apply", {"difference_pico": "1"})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "conflict")
    assert Rerating.objects.count() == 1
    sent = {"idempotency-key": "exactly-this-one"}
    answers = [program("POST", f"/{job['id']}/apply", {"difference_pico": str(3 * MORE)}, **sent) for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 201]
    real = answers[0].json()
    assert answers[1].json() == real
    assert (real["dry_run"], real["applies"]) == (False, job["id"])
    work_off(real["id"])
    assert program("GET", f"/{real['id']}").json()["status"] == "done"
    row = request_by_id(customer.tenant.id, str(calls[0].event_id))
    assert (row.rev, row.charge) == (2, row.cost)
    found = program("GET", f"/{job['id']}").json()
    assert (found["applied_by"], found["appliable"]) == (real["id"], False)
    assert "applied already" in found["why_not"]
    assert [each["id"] for each in program("GET").json()["items"]] == [real["id"], job["id"]]
    trail = AuditEvent.objects.get(kind="rerating.begun", target_id=real["id"])
    assert trail.actor_kind == "service_token"


def test_a_job_is_stopped_and_goes_on(customer, program):
    customer.call(**PRIVATE)
    job = program("POST", "", span()).json()
    assert program("POST", f"/{job['id']}/resume").json()["code"] == "conflict"
    assert program("POST", f"/{job['id']}/stop").json()["status"] == "stopped"
    assert program("POST", f"/{job['id']}/stop").status_code == 409
    assert program("POST", f"/{job['id']}/resume").json()["status"] == "waiting"
    work_off(job["id"])
    assert program("GET", f"/{job['id']}").json()["calls"] == 1


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"begin": "2026-11-02T00:00:00Z", "end": "2026-11-01T00:00:00Z"}, "end", "must be after the beginning"),
        ({"begin": "1999-11-02T00:00:00Z"}, "begin", "before the year 2000"),
        ({"end": "9999-12-31T23:59:59-12:00"}, "end", "more than a year ahead"),
        ({"begin": "2026-11-02"}, "begin", ""),
        ({"tenant": "t_nobody"}, "tenant", "no such tenant"),
        ({"model": "a\0b"}, "model", ""),
        ({"dry_run": False}, "dry_run", ""),
    ],
)
def test_bad_input_is_told_by_field_and_begins_nothing(program, wrong, field, says):
    answer = program("POST", "", span() | wrong)
    assert answer.status_code == 422, answer.content
    fault = answer.json()["errors"][0]
    assert fault["field"] == field
    assert says in fault["detail"]
    assert not Rerating.objects.exists()


def test_a_token_of_one_tenant_re_rates_that_tenant_only(customer, program):
    everybody = program("POST", "", span()).json()
    theirs = program("POST", "", span(tenant=make_tenant("Second").id)).json()
    own = Program(customer.tenant, customer.tenant)
    for tenant in ("", theirs["tenant"]):
        refused = own("POST", "", span(tenant=tenant))
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "tenant")
    job = own("POST", "", span(tenant=customer.tenant.id))
    assert job.status_code == 201, job.content
    assert [each["id"] for each in own("GET").json()["items"]] == [job.json()["id"]]
    for hidden in (everybody, theirs):
        for method, path in (("GET", ""), ("GET", "/tenants"), ("POST", "/stop"), ("POST", "/resume")):
            assert own(method, f"/{hidden['id']}{path}").status_code == 404
        assert own("POST", f"/{hidden['id']}/apply", {"difference_pico": "0"}).status_code == 404


def test_a_token_that_nobody_confirmed_or_that_only_looks_changes_nothing(customer):
    unconfirmed = Program(None, customer.tenant, confirmed=False)
    assert unconfirmed("POST", "", span()).json()["code"] == "confirmed_scope_required"
    assert Program(None, customer.tenant, "prices.view")("GET").json()["code"] == "scope_required"
    assert not Rerating.objects.exists()


def test_the_form_knows_the_last_of_days(admin_client):
    page = admin_client.post("/reratings/new", {"first": "2026-11-01", "last": date.max.isoformat()})
    assert page.status_code == 422
    assert "There is no day after this one." in page.content.decode()
