"""The state service: who may ask it from where, what the catalogue says, and how selections are read and put."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from changes.models import AuditEvent
from changes.trail import Naming
from pricing.actions.catalogue import describe_model
from pricing.actions.selections import select_model
from pricing.models import Model, Selection
from pricing.state.catalog import Wanted, rendering
from spendops.api import state_api
from tenants.frame.operations import operations_of, undeclared
from tenants.permissions import Permission, Role
from tenants.scope import tenant_scope
from tests.pricing.catalogues import acme, catalogue, listed, provider
from tests.pricing.conftest import sync_and_approve
from tests.tenants.company import EVERYBODY, SIGNED_OUT, STRANGER, Company
from tests.tenants.making import SOMEBODY, make_tenant, project_of, service_token
from tests.tenants.permission_table import STATE_OPERATIONS
from wire.prices import Tiered

pytestmark = pytest.mark.django_db

TOKEN = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH"
OUTSIDE = "8.8.8.8"
CATALOG, SELECTION = "/api/state/catalog", "/api/state/selection"
SMALL = {"use": "chat", "tier": "bulk", "provider": "acme", "model": "small"}


@pytest.fixture
def prices(db):
    sync_and_approve(
        catalogue(
            *acme(4).providers,
            provider("vectors", listed("embed-small", input=20_000)),
            provider("tall", listed("tower", input=Tiered(1_250_000, ((200_000, 2_500_000),)), output=10_000_000)),
        )
    )


@pytest.fixture
def tenant(prices):
    return make_tenant("Ours")


@pytest.fixture
def shared(settings):
    settings.STATE_SERVICE_SHARED_TOKEN = TOKEN
    return {"X-State-Service-Token": TOKEN}


@pytest.fixture
def token(tenant):
    """The headers of a service token that may do everything here."""
    return {"Authorization": f"Bearer {service_token(tenant).text}"}


def get(path, headers=None, address="127.0.0.1", **query):
    return Client(REMOTE_ADDR=address).get(path, query, headers=headers or {})


def put(body, headers=None, address="127.0.0.1"):
    client = Client(REMOTE_ADDR=address)
    return client.put(SELECTION, json.dumps(body), content_type="application/json", headers=headers or {})


# -- who may ask


def test_every_operation_has_an_expectation_and_says_what_it_needs():
    assert {(method, path) for method, path, _ in operations_of(state_api)} == set(STATE_OPERATIONS)
    assert undeclared(state_api) == []


@pytest.mark.parametrize("who", EVERYBODY)
def test_without_a_shared_token_it_takes_a_session_with_the_permission(prices, who):
    person = Company().person(who)
    for (method, path), allowed in STATE_OPERATIONS.items():
        answer = person.generic(method, f"/api/state{path}", "{}", content_type="application/json")
        if who == SIGNED_OUT:
            assert answer.status_code == 401
        elif (Role.TENANT_ADMIN if who == STRANGER else who) in allowed:
            assert answer.status_code == (422 if method == "PUT" else 200), answer.content
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "permission_required")


def test_without_a_shared_token_a_service_token_needs_the_scope(tenant):
    reads = {"Authorization": f"Bearer {service_token(tenant, Permission.PRICES_VIEW).text}"}
    assert get(CATALOG, reads).status_code == 200
    assert get(SELECTION, reads).json()["tenant"] == tenant.id
    refused = put(SMALL, reads)
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_required")
    assert get(CATALOG, {"X-State-Service-Token": TOKEN}).status_code == 401


def test_with_a_shared_token_every_request_needs_it(tenant, token, shared):
    for headers in (
        {},
        token,
        {"X-State-Service-Token": ""},
        {"X-State-Service-Token": TOKEN[:-1]},
        {"X-State-Service-Token": TOKEN + "x"},
    ):
        for answer in (get(CATALOG, headers), get(SELECTION, headers), put(SMALL, headers)):
            assert (answer.status_code, answer.json()["code"]) == (401, "state_token_required")
            assert answer.headers["WWW-Authenticate"]
    assert get(CATALOG, shared).status_code == 200
    assert get(CATALOG, shared | token).status_code == 200
    with tenant_scope(tenant.id):
        assert not Selection.objects.exists()


def test_the_shared_token_is_enough_for_nothing_else(tenant, shared):
    for address in ("/api/v1/users/me", "/api/v1/keys", "/api/v1/openapi.json", "/api/statement", "/pricing", "/"):
        assert Client().get(address, headers=shared).status_code == 401, address
    as_bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert get(CATALOG, as_bearer).status_code == 401


def test_a_known_caller_keeps_its_own_rights_beside_the_shared_token(tenant, shared):
    reads = {"Authorization": f"Bearer {service_token(tenant, Permission.PRICES_VIEW).text}"}
    refused = put(SMALL, shared | reads)
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_required")
    other = make_tenant("Theirs")
    assert get(SELECTION, shared | reads, tenant=other.id).status_code == 404


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("172.31.0.1", True),
        ("192.168.7.7", True),
        ("fd00::7", True),
        ("::ffff:10.0.0.1", True),
        (OUTSIDE, False),
        ("172.32.0.1", False),
        ("::ffff:8.8.8.8", False),
        ("2001:db8::1", False),
        ("", False),
        ("nonsense", False),
    ],
)
def test_it_answers_to_the_inside_only(tenant, token, settings, address, inside):
    answer = get(CATALOG, token, address)
    assert answer.status_code == (200 if inside else 403)
    if not inside:
        assert answer.json()["code"] == "internal_only"
        assert put(SMALL, token, address).status_code == 403
        settings.STATE_SERVICE_PUBLIC = True
        assert get(CATALOG, token, address).status_code == 200
        assert get(CATALOG, {}, address).status_code == 401


def test_behind_a_proxy_the_client_s_address_counts(tenant, token, settings):
    settings.BEHIND_PROXY = True
    assert get(CATALOG, token | {"X-Forwarded-For": f"10.0.0.1, {OUTSIDE}"}).status_code == 403
    assert get(CATALOG, token | {"X-Forwarded-For": f"{OUTSIDE}, 10.0.0.1"}).status_code == 200


def test_what_was_forwarded_by_a_proxy_that_nobody_configured_is_not_from_inside(tenant, token):
    assert get(CATALOG, token | {"X-Forwarded-For": "10.0.0.1"}).status_code == 403
    assert get(CATALOG, token | {"Forwarded": "for=10.0.0.1"}).status_code == 403


def test_how_often_the_shared_token_may_be_used_is_limited(tenant, shared, settings):
    settings.API_REQUESTS_PER_MINUTE = 2
    assert [get(CATALOG, shared).status_code for _ in range(3)] == [200, 200, 429]


# -- the catalogue


def test_the_catalogue_says_what_clients_need(tenant, token):
    describe_model(
        model=Model.objects.get(provider="acme", model_id="small"),
        by=SOMEBODY,
        facts={"tier": "bulk", "context_window": "128,000", "capabilities": "tools, vision", "aliases": "tiny"},
    )
    shown = get(CATALOG, token).json()
    assert (shown["price_version"], shown["currency"], len(shown["models"])) == (1, "USD", 6)
    small = next(each for each in shown["models"] if each["model"] == "small")
    assert small == {
        "provider": "acme",
        "model": "small",
        "name": "Small",
        "tier": "bulk",
        "uses": ["chat", "responses"],
        "context_window": 128000,
        "output_most": None,
        "capabilities": ["tools", "vision"],
        "aliases": ["tiny"],
        "deprecated": False,
        "deprecated_on": None,
        "prices": {
            "input": {"usd_per_million": "0.15", "measure": "token"},
            "output": {"usd_per_million": "0.6", "measure": "token"},
        },
    }
    tower = next(each for each in shown["models"] if each["model"] == "tower")
    assert tower["prices"]["input"] == {
        "usd_per_million": "1.25",
        "measure": "token",
        "context_tiers": [{"above_tokens": 200000, "usd_per_million": "2.5"}],
    }


@pytest.mark.parametrize(
    ("query", "models"),
    [
        ({"provider": "acme"}, {"small", "model-1", "model-2", "model-3"}),
        ({"use": "embeddings"}, {"embed-small"}),
        ({"use": "messages"}, set()),
        ({"q": "acme MODEL 2"}, {"model-2"}),
        ({"tier": "frontier"}, {"tower"}),
        ({"deprecated": "false"}, {"small", "model-2", "model-3", "embed-small", "tower"}),
        ({"provider": "nobody"}, set()),
    ],
)
def test_the_catalogue_is_narrowed(tenant, token, query, models):
    describe_model(model=Model.objects.get(model_id="tower"), by=SOMEBODY, facts={"tier": "frontier"})
    describe_model(model=Model.objects.get(model_id="model-1"), by=SOMEBODY, facts={"deprecated_on": "2020-01-01"})
    assert {each["model"] for each in get(CATALOG, token, **query).json()["models"]} == models


def test_a_catalogue_that_the_caller_has_is_not_sent_again(tenant, token):
    first = get(CATALOG, token)
    assert first.headers["Cache-Control"] == "private, no-cache"
    known = token | {"If-None-Match": first.headers["ETag"]}
    again = get(CATALOG, known)
    assert (again.status_code, again.content) == (304, b"")
    assert get(CATALOG, known, provider="acme").status_code == 200
    describe_model(model=Model.objects.get(model_id="small"), by=SOMEBODY, facts={"tier": "bulk"})
    assert get(CATALOG, known).status_code == 200
    newer = get(CATALOG, known).headers["ETag"]
    sync_and_approve(acme(4, output=610_000))
    assert get(CATALOG, token | {"If-None-Match": newer}).json()["price_version"] > 1


def test_one_price_version_is_rendered_once(tenant):
    first = rendering()
    with CaptureQueriesContext(connection) as queries:
        assert rendering() is first
    assert len(queries) == 2
    sync_and_approve(acme(3))
    assert rendering() is not first
    assert b"model-3" not in rendering().body(Wanted())


def test_a_price_that_begins_by_its_day_is_shown_from_then_on(prices):
    with time_machine.travel(datetime(2030, 5, 1, 23, 59, tzinfo=UTC), tick=False) as clock:
        first = rendering()
        assert first.ends == datetime(2030, 5, 2, tzinfo=UTC)
        clock.move_to(datetime(2030, 5, 2, tzinfo=UTC))
        assert rendering() is not first


def test_before_the_first_price_book_the_catalogue_is_empty(admin_client):
    assert admin_client.get(CATALOG).json() == {"price_version": 0, "currency": "USD", "models": []}


# -- selections


def test_a_selection_is_put_and_got(tenant, token):
    assert get(SELECTION, token).json() == {"tenant": tenant.id, "project_id": None, "selections": []}
    answer = put(SMALL, token)
    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert shown.pop("updated_at")
    assert shown == {**SMALL, "project_id": None, "version": 1}
    (listed_one,) = get(SELECTION, token).json()["selections"]
    assert (listed_one["model"], listed_one["version"]) == ("small", 1)
    cleared = put({**SMALL, "provider": None, "model": None}, token)
    assert cleared.json() == {
        **SMALL, "provider": None, "model": None, "project_id": None, "version": 0, "updated_at": None,
    }  # fmt: skip
    assert get(SELECTION, token).json()["selections"] == []


def test_a_project_is_told_what_holds_for_it(tenant, token):
    project = project_of(tenant)
    put(SMALL, token)
    put({**SMALL, "tier": "standard", "model": "model-1"}, token)
    put({**SMALL, "model": "model-2", "project_id": project.id}, token)
    shown = get(SELECTION, token, project=project.id).json()
    assert [(each["tier"], each["model"], each["project_id"]) for each in shown["selections"]] == [
        ("bulk", "model-2", project.id),
        ("standard", "model-1", None),
    ]
    assert {each["project_id"] for each in get(SELECTION, token).json()["selections"]} == {None}


def test_the_audit_trail_names_the_state_service(tenant, shared):
    answer = put({**SMALL, "tenant": tenant.id}, shared)
    assert answer.status_code == 200, answer.content
    event = AuditEvent.objects.get(kind="selection.made")
    assert (event.actor_kind, event.actor_id, event.tenant_id) == ("service", "state-service", tenant.id)
    assert (event.address, bool(event.request_id)) == ("127.0.0.1", True)
    naming = Naming([event])
    assert "".join(part.text for part in naming.sentence(event)) == (
        "The state service selected acme/small for chat bulk"
    )


def test_with_the_shared_token_alone_the_tenant_is_named(tenant, shared):
    for answer in (get(SELECTION, shared), put(SMALL, shared)):
        assert (answer.status_code, answer.json()["code"]) == (422, "tenant_required")
    for answer in (get(SELECTION, shared, tenant="t_nobody"), put({**SMALL, "tenant": "t_nobody"}, shared)):
        assert answer.status_code == 404
    assert get(SELECTION, shared, tenant=tenant.id).json()["tenant"] == tenant.id


def test_a_tenant_s_token_reaches_no_other_tenant(tenant, token):
    other = make_tenant("Theirs")
    select_model(tenant=other, **SMALL, by=SOMEBODY)
    theirs = project_of(other).id
    assert get(SELECTION, token).json()["selections"] == []
    assert get(SELECTION, token, tenant=other.id).status_code == 404
    assert get(SELECTION, token, project=theirs).status_code == 404
    assert put({**SMALL, "tenant": other.id}, token).status_code == 404
    refused = put({**SMALL, "project_id": theirs}, token)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "project_id")
    with tenant_scope(tenant.id):
        assert not Selection.objects.exists()


def test_a_change_of_somebody_else_is_not_overwritten_unseen(tenant, token):
    seen = get(SELECTION, token).headers["ETag"]
    assert put(SMALL, token | {"If-Match": seen}).status_code == 200
    refused = put({**SMALL, "tier": "standard"}, token | {"If-Match": seen})
    assert (refused.status_code, refused.json()["code"]) == (412, "stale")
    now = get(SELECTION, token).headers["ETag"]
    done = put({**SMALL, "model": "model-1"}, token | {"If-Match": f'"{"0" * 32}", {now}'})
    assert done.status_code == 200
    assert done.headers["ETag"] == get(SELECTION, token).headers["ETag"] != now
    assert put(SMALL, token | {"If-Match": "*"}).status_code == 200
    by_version = put({**SMALL, "model": "model-2", "version": 1}, token)
    assert (by_version.status_code, by_version.json()["code"]) == (409, "stale")
    assert put({**SMALL, "model": "model-2", "version": 3}, token).status_code == 200


def test_selections_that_the_caller_has_are_not_sent_again(tenant, token):
    put(SMALL, token)
    known = token | {"If-None-Match": get(SELECTION, token).headers["ETag"]}
    assert get(SELECTION, known).status_code == 304
    put({**SMALL, "model": "model-1"}, token)
    assert get(SELECTION, known).status_code == 200


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"use": "poetry"}, "use"),
        ({"tier": "best"}, "tier"),
        ({"model": "big"}, "model"),
        ({"model": "embed-small", "provider": "vectors"}, "model"),
        ({"provider": None}, "model"),
        ({"model": None}, "model"),
        ({"project_id": "p_nobody"}, "project_id"),
        ({"tenant": "ours"}, "tenant"),
        ({"version": -1}, "version"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_put_is_said_by_field(tenant, token, changed, field):
    answer = put({**SMALL, **changed}, token)
    assert answer.status_code == 422, answer.content
    assert [each["field"] for each in answer.json()["errors"]] == [field]


def test_a_page_s_session_needs_the_csrf_token_to_put(prices):
    person = Company().person(Role.TENANT_ADMIN)
    person.handler.enforce_csrf_checks = True
    answer = person.put(SELECTION, json.dumps(SMALL), content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")


def test_its_description_is_for_those_who_are_let_in(tenant, token):
    assert Client().get("/api/state/openapi.json").status_code == 401
    described = Client().get("/api/state/openapi.json", headers=token).json()
    assert set(described["paths"]) == {"/api/state/catalog", "/api/state/selection"}
