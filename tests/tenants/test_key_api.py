"""API keys through the API: issued with all that they may do, changed, rotated, let rest, revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from changes.models import AuditEvent
from tenants.actions.keys import revoke_key
from tenants.models import ApiKey, Tenant
from tenants.scope import tenant_scope
from tests.tenants.making import SOMEBODY, issue, make_tenant, project_of, service_token
from tests.tenants.test_api import ROOT, Program, assert_problem
from wire.keys import parse_key

POLICY: dict[str, Any] = {
    "expires_at": "2031-05-06T00:00:00Z",
    "not_before": "2031-01-01T00:00:00Z",
    "allowed_models": ["gpt-4o*"],
    "denied_models": ["gpt-4o-audio*"],
    "allowed_providers": ["openai"],
    "denied_providers": ["azure*"],
    "networks": ["192.0.2.0/24"],
    "tier": "bulk",
    "rpm": 60,
    "tpm": 9000,
    "concurrency": 2,
    "tags": {"team": "search"},
}


@pytest.fixture
def tenant(db) -> Tenant:
    return make_tenant("Acme")


@pytest.fixture
def program(tenant) -> Program:
    return Program(service_token(tenant).text)


def patch(program: Program, path: str, body: dict[str, Any]) -> Any:
    return program.client.patch(f"{ROOT}{path}", body, content_type="application/json")


def stored(key_id: str, tenant: Tenant) -> ApiKey:
    with tenant_scope(tenant.id):
        return ApiKey.objects.get(pk=key_id)


def test_a_key_is_issued_with_all_that_it_may_do_and_shown_so(program, tenant):
    body = {"name": "Bot", "project_id": project_of(tenant).pk, "env": "prod", **POLICY}
    issued = program.post("/keys", body)
    assert issued.status_code == 201
    key = issued.json()
    assert parse_key(key.pop("key")).public_id == key["id"]
    assert {name: key[name] for name in POLICY} == POLICY
    shown = program.get(f"/keys/{key['id']}").json()
    assert program.get("/keys").json()["items"] == [shown]
    key.pop("created_at"), shown.pop("created_at")  # one of them is to the millisecond
    assert shown == key


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"networks": ["10.1.2.3/8"]}, "networks"),
        ({"tier": "gold"}, "tier"),
        ({"rpm": -1}, "rpm"),
        ({"allowed_providers": ["open ai"]}, "allowed_providers"),
        ({"tags": {"a=b": "x"}}, "tags"),
        ({"owner_id": "u_nobody000000"}, "owner_id"),
        ({"project_id": "p_000000000000"}, "project_id"),
        ({"not_before": "2031-05-07T00:00:00Z"}, "not_before"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_names_its_field_whether_issued_or_changed(program, tenant, change, field):
    body = {"name": "Bot", "project_id": project_of(tenant).pk, "env": "prod", "expires_at": POLICY["expires_at"]}
    key = program.post("/keys", body).json()
    for answer in (program.post("/keys", body | change), patch(program, f"/keys/{key['id']}", change)):
        assert answer.status_code == 422, answer.content
        (problem,) = answer.json()["errors"]
        assert problem["location"] == "body"
        assert problem["field"].split(".")[0] == field
    assert stored(key["id"], tenant).version == 1


def test_what_is_left_out_of_a_change_stays(program, tenant):
    key = issue(tenant, "bot", tags={"team": "search"}, rpm=60).key
    changed = patch(program, f"/keys/{key.pk}", {"rpm": 0, "expires_at": POLICY["expires_at"], "tags": None})
    assert changed.status_code == 200
    assert {name: changed.json()[name] for name in ("name", "rpm", "tags", "expires_at", "version")} == {
        "name": "bot",
        "rpm": 0,
        "tags": {"team": "search"},
        "expires_at": POLICY["expires_at"],
        "version": 2,
    }
    assert patch(program, f"/keys/{key.pk}", {"expires_at": None}).json()["expires_at"] is None
    event = AuditEvent.objects.latest("id")
    assert (event.kind, event.actor_kind, event.after) == ("api_key.changed", "service_token", {"expires_at": None})


def test_of_two_changes_with_a_version_the_second_is_told(program, tenant):
    key = issue(tenant).key
    assert patch(program, f"/keys/{key.pk}", {"rpm": 60, "version": 1}).json()["version"] == 2
    stale = patch(program, f"/keys/{key.pk}", {"rpm": 90, "version": 1})
    assert_problem(stale, 409, "stale")
    assert "by a program (requests a minute)" in stale.json()["detail"]
    assert patch(program, f"/keys/{key.pk}", {"rpm": 90, "version": 2}).json()["rpm"] == 90


def test_a_key_is_rotated_once_under_one_idempotency_key(program, tenant):
    old = issue(tenant, "bot", rpm=60).key
    named = {"idempotency-key": "rotate-0001"}
    first = program.post(f"/keys/{old.pk}/rotate", {"grace_hours": 2}, **named)
    again = program.post(f"/keys/{old.pk}/rotate", {"grace_hours": 2}, **named)
    assert (first.status_code, again.content) == (201, first.content)
    new = first.json()
    assert (new["rpm"], stored(old.pk, tenant).replaced_by) == (60, new["id"])
    left = stored(old.pk, tenant).expires_at - datetime.now(UTC)
    assert timedelta(minutes=119) < left <= timedelta(hours=2)
    assert_problem(program.post(f"/keys/{old.pk}/rotate", {}), 409, "conflict")


def test_a_key_rests_and_works_again(program, tenant):
    key = issue(tenant).key
    for part, status in (("disable", "disabled"), ("disable", "disabled"), ("enable", "active")):
        assert program.post(f"/keys/{key.pk}/{part}", {}).json()["status"] == status
    revoke_key(key=key, by=SOMEBODY)
    for part in ("disable", "enable"):
        assert_problem(program.post(f"/keys/{key.pk}/{part}", {}), 409, "conflict")
    assert_problem(patch(program, f"/keys/{key.pk}", {"rpm": 1}), 409, "conflict")


def test_several_are_revoked_at_once(program, tenant):
    first, second = issue(tenant, "a").key, issue(tenant, "b").key
    theirs = issue(make_tenant("Other")).key
    revoke_key(key=second, by=SOMEBODY)
    found = program.post("/keys/revoke", {"ids": [first.pk, second.pk, theirs.pk, first.pk]}).json()
    assert (found["total"], found["changed"]) == (3, 1)
    assert found["skipped"] == {"revoked already": 1, "not there any more": 1}
    assert stored(first.pk, tenant).status == "revoked"
    assert program.post("/keys/revoke", {"ids": []}).status_code == 422


def test_the_list_is_searched_and_narrowed(program, tenant):
    issue(tenant, "billing", tags={"team": "search"}, tier="bulk")
    issue(tenant, "other", env="prod", expires_at=datetime.now(UTC) + timedelta(days=3))
    for query, names in (
        ({"q": "bill"}, ["billing"]),
        ({"q": "team=search"}, ["billing"]),
        ({"tier": "bulk"}, ["billing"]),
        ({"status": "expiring"}, ["other"]),
        ({"status": "never_used"}, ["other", "billing"]),
        ({"env": "prod", "q": "bill"}, []),
        ({"owner_id": "u_nobody"}, []),
    ):
        assert [each["name"] for each in program.get("/keys", **query).json()["items"]] == names, query
    assert_problem(program.get("/keys", status="lost"), 422, "invalid_request")


def test_a_strangers_key_is_as_missing_as_none(program):
    theirs, missing = issue(make_tenant("Other")).key.pk, "0" * 12
    for method, part in (("get", ""), ("patch", ""), ("post", "/disable"), ("post", "/enable"), ("post", "/rotate")):
        answers = [
            getattr(program.client, method)(f"{ROOT}/keys/{each}{part}", {}, content_type="application/json")
            for each in (theirs, missing)
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
