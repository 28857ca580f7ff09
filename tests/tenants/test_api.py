"""The API's frame: who is let in to what, problems, pages, repeated creates, limits."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connections
from django.test import Client
from django.utils import timezone

from changes.models import AuditEvent
from spendops.api import api
from tenants.frame.openapi import FramedAPI
from tenants.frame.operations import operations_of, undeclared
from tenants.models import KeptAnswer, Project, ServiceToken
from tenants.permissions import Permission, needs_of
from tenants.scope import across_tenants, tenant_scope
from tenants.tokens import DANGEROUS
from tests.browsing import Person
from tests.tenants.making import issue, make_tenant, project_of, service_token

ROOT = "/api/v1"


class Program:
    """A program that calls the API with a service token."""

    def __init__(self, text: str, **headers: str) -> None:
        self.client = Client(headers={"authorization": f"Bearer {text}", **headers}, raise_request_exception=False)

    def get(self, path: str, **query):
        return self.client.get(f"{ROOT}{path}", query)

    def post(self, path: str, body, **headers):
        return self.client.post(f"{ROOT}{path}", body, content_type="application/json", headers=headers)

    def delete(self, path: str):
        return self.client.delete(f"{ROOT}{path}")


@pytest.fixture
def tenant(db):
    return make_tenant("Acme")


@pytest.fixture
def program(tenant) -> Program:
    return Program(service_token(tenant).text)


def assert_problem(answer, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-Id"]
    assert {"type", "title", "status", "code", "detail"} <= set(answer.json())


def examples(method: str, path: str) -> str:
    return path.replace("{session_id}", "0" * 64).replace("{token_id}", "0" * 12).replace("{key_id}", "0" * 12)


OPERATIONS = [(method, examples(method, path), each) for method, path, each in operations_of(api)]


def test_every_operation_says_what_it_needs():
    assert undeclared(api) == []
    assert {"/users/me", "/users", "/sessions", "/tokens", "/audit"} <= {path for _, path, _ in OPERATIONS}


def test_an_operation_that_says_nothing_is_found_and_is_open_to_nobody(tenant, settings):
    forgetful = FramedAPI(title="Forgetful", urls_namespace="forgetful")

    @forgetful.get("/leak")
    def leak(request):
        return {"secret": 1}

    assert undeclared(forgetful) == ["GET /leak"]
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [_mounted(forgetful)]})
    assert Program(service_token(tenant).text).get("/leak").status_code == 403


def _mounted(forgetful):
    from django.urls import path

    return path("api/v1/", forgetful.urls)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_whoever_is_not_known_gets_401_whatever_else_is_wrong(db, method, path, operation):
    for headers in (
        {},
        {"authorization": "Bearer sot_nonsense"},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer " + "x" * 5000},
    ):
        answer = Client(headers=headers).generic(method, ROOT + path, b"{not json", content_type="text/plain")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_every_operation_is_refused_without_its_scope(tenant, method, path, operation):
    wanted = needs_of(operation.view_func)
    needed = wanted.to_read | wanted.to_write
    if not needed:
        assert path == "/users/me" or path.startswith("/sessions"), "only what concerns the caller alone"
        return
    others = [each.value for each in Permission if each not in needed and not each.value.endswith("_own")]
    answer = Program(service_token(tenant, *others).text).client.generic(
        method, ROOT + path, b"{}", content_type="application/json"
    )
    assert_problem(answer, 403, "scope_required")


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_a_dangerous_operation_needs_a_scope_that_a_person_confirmed(tenant, method, path, operation):
    wanted = needs_of(operation.view_func)
    if method == "GET" or not wanted.to_write & DANGEROUS:
        return
    before = AuditEvent.objects.count()
    unconfirmed = Program(service_token(tenant, confirmed=False).text)
    answer = unconfirmed.client.generic(method, ROOT + path, b"{}", content_type="application/json")
    assert_problem(answer, 403, "confirmed_scope_required")
    assert AuditEvent.objects.count() == before + 1  # the token's own


def test_a_token_opens_no_page(tenant):
    text = service_token(tenant).text
    for path in ("/spend", "/keys", "/tokens", "/passkeys", "/settings"):
        assert Client(headers={"authorization": f"Bearer {text}"}).get(path).status_code == 401
        browser = Client(headers={"authorization": f"Bearer {text}", "accept": "text/html"}).get(path)
        assert (browser.status_code, browser.url.split("?")[0]) == (302, "/sign-in")


def test_a_token_that_ended_opens_nothing(tenant):
    issued = service_token(tenant, days=1)
    program = Program(issued.text)
    assert program.get("/users/me").status_code == 200
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        assert_problem(program.get("/users/me"), 401, "invalid_token")
    other = Program(service_token(tenant).text)
    assert other.delete(f"/tokens/{issued.token.id}").json()["status"] == "revoked"
    assert_problem(program.get("/users/me"), 401, "invalid_token")
    assert_problem(Program(issued.text[:-1] + "0").get("/users/me"), 401, "invalid_token")


def test_a_token_of_another_secret_under_a_known_id_opens_nothing(tenant):
    from wire.keys import checksum

    body = f"sot_{service_token(tenant).token.id}_{'x' * 43}"
    assert_problem(Program(body + checksum(body)).get("/users/me"), 401, "invalid_token")


def test_a_request_with_a_token_is_the_token_s_alone(admin_client):
    """A token that is not known is refused, though the browser's session would have been let in."""
    headers = {"authorization": "Bearer sot_nonsense"}
    assert admin_client.get(f"{ROOT}/users/me").json()["kind"] == "user"
    assert admin_client.get(f"{ROOT}/users/me", headers=headers).status_code == 401
    issued = service_token(make_tenant("Other"), "spend.view")
    me = admin_client.get(f"{ROOT}/users/me", headers={"authorization": f"Bearer {issued.text}"}).json()
    assert (me["kind"], me["tenant"]["name"], me["permissions"]) == ("service_token", "Other", ["spend.view"])


def test_when_a_token_was_used_is_written_once_a_minute(tenant, django_assert_num_queries):
    issued = service_token(tenant)
    program = Program(issued.text)

    def used():
        with across_tenants("a look at what was written"):
            return ServiceToken.objects.get(id=issued.token.id).last_used_at

    assert used() is None
    start = timezone.now() + timedelta(minutes=5)
    with time_machine.travel(start, tick=False) as clock:
        program.get("/users/me")
        assert used() == start
        clock.shift(59)
        program.get("/users/me")
        assert used() == start
        clock.shift(2)
        program.get("/users/me")
        assert used() == start + timedelta(seconds=61)


def test_me(admin_client):
    me = admin_client.get(f"{ROOT}/users/me").json()
    assert (me["kind"], me["email"]) == ("user", "asha@example.com")
    assert me["tenant"]["id"] == admin_client.tenant.id
    assert "keys.issue" in me["permissions"]


def test_members_and_only_of_this_tenant(admin_client):
    from access.models import User
    from tenants.models import Membership

    stranger = User.objects.create(email="other@example.com", name="Other")
    Membership.objects.create(user=stranger, tenant=make_tenant("Other"), role="tenant_admin")
    found = admin_client.get(f"{ROOT}/users").json()["items"]
    assert [(each["email"], each["role"]) for each in found] == [("asha@example.com", "tenant_admin")]


def test_tokens_are_issued_shown_once_and_revoked(admin_client):
    admin_client.step_up()
    body = {
        "name": "CI",
        "scopes": ["spend.view", "keys.issue"],
        "expires_at": (timezone.now() + timedelta(days=90)).isoformat(),
    }
    issued = admin_client.post(f"{ROOT}/tokens", body, content_type="application/json")
    assert issued.status_code == 201, issued.content
    shown = issued.json()
    assert shown["token"].startswith(f"sot_{shown['id']}_")
    assert shown["confirmed_scopes"] == ["keys.issue"]
    assert Program(shown["token"]).get("/users/me").json()["name"] == "CI"

    (listed,) = admin_client.get(f"{ROOT}/tokens").json()["items"]
    assert "token" not in listed
    assert shown["token"] not in admin_client.get(f"{ROOT}/audit").content.decode()
    ended = admin_client.delete(f"{ROOT}/tokens/{shown['id']}").json()
    assert (ended["status"], ended["id"]) == ("revoked", shown["id"])
    assert admin_client.delete(f"{ROOT}/tokens/{shown['id']}").json() == ended
    kinds = list(AuditEvent.objects.filter(target_id=shown["id"]).values_list("kind", flat=True))
    assert kinds == ["service_token.revoked", "service_token.issued"]


def test_a_person_confirms_before_a_token_is_issued(admin_client, settings):
    body = {"name": "CI", "scopes": ["spend.view"], "expires_at": "2099-01-01T00:00:00Z"}
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.STEP_UP_SECONDS + 5)):
        answer = admin_client.post(f"{ROOT}/tokens", body, content_type="application/json")
        assert_problem(answer, 403, "step_up_required")
        assert answer.headers["X-SpendOps-Step-Up"] == "required"
        assert admin_client.get(f"{ROOT}/tokens").json()["items"] == []


def test_a_session_writes_with_the_csrf_token_only(admin_client):
    browser = Person(enforce_csrf_checks=True)
    browser.cookies = admin_client.cookies
    body = {"name": "Checkout"}
    forged = browser.post(f"{ROOT}/projects", body, content_type="application/json")
    assert_problem(forged, 403, "csrf_failed")
    token = browser.get("/session").json()["csrf"]
    meant = browser.post(f"{ROOT}/projects", body, content_type="application/json", headers={"x-csrftoken": token})
    assert meant.status_code == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scopes": ["fly"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["tenants.create"]}, "scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": (timezone.now() + timedelta(days=400)).isoformat()}, "expires_at"),
        ({"expires_at": "2027-01-01T00:00:00"}, "expires_at"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_token_that_cannot_be_issued(tenant, change, field):
    scopes = ["spend.view", "tokens.manage"]
    body = {"name": "CI", "scopes": ["spend.view"], "expires_at": (timezone.now() + timedelta(days=9)).isoformat()}
    answer = Program(service_token(tenant, *scopes).text).post("/tokens", body | change)
    assert answer.status_code == 422
    (problem,) = answer.json()["errors"]
    assert (problem["location"], problem["field"]) == ("body", field)
    assert problem["detail"]


def test_a_token_issues_less_than_itself(tenant):
    issuer = Program(service_token(tenant, "spend.view", "tokens.manage", days=10).text)
    soon = (timezone.now() + timedelta(days=9)).isoformat()
    child = issuer.post("/tokens", {"name": "Child", "scopes": ["tokens.manage"], "expires_at": soon}).json()
    assert child["confirmed_scopes"] == []
    grandchild = {"name": "x", "scopes": ["spend.view"], "expires_at": soon}
    assert_problem(Program(child["token"]).post("/tokens", grandchild), 403, "confirmed_scope_required")
    later = (timezone.now() + timedelta(days=11)).isoformat()
    refused = issuer.post("/tokens", {"name": "x", "scopes": ["spend.view"], "expires_at": later})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "expires_at")


def test_what_belongs_to_another_tenant_is_not_there(program):
    other = make_tenant("Other")
    theirs, missing = service_token(other).token.id, "0" * 12
    answers = [program.delete(f"/tokens/{each}") for each in (theirs, missing)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    key = issue(other).key.id
    answers = [program.delete(f"/keys/{each}") for each in (key, missing)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    for path in ("/keys", "/projects", "/audit"):
        assert other.id not in program.get(path).content.decode()
        assert project_of(other).id not in program.get(path).content.decode()


def test_sessions_are_one_s_own_and_can_be_ended(admin_client):
    second = Person(admin_client.authenticator)
    assert second.sign_in().status_code == 200
    listed = admin_client.get(f"{ROOT}/sessions").json()["items"]
    assert [each["current"] for each in listed].count(True) == 1
    other = next(each["id"] for each in listed if not each["current"])
    assert admin_client.delete(f"{ROOT}/sessions/{other}").status_code == 204
    assert second.get(f"{ROOT}/users/me").status_code == 401
    assert admin_client.delete(f"{ROOT}/sessions/{other}").status_code == 404
    own = next(each["id"] for each in listed if each["current"])
    assert admin_client.delete(f"{ROOT}/sessions/{own}").status_code == 204
    assert admin_client.get(f"{ROOT}/users/me").status_code == 401


def test_sessions_concern_people(program):
    assert_problem(program.get("/sessions"), 403, "person_required")


def test_the_trail_is_narrowed_and_read_page_by_page(program, tenant):
    for number in range(7):
        assert program.post("/projects", {"name": f"Project {number}"}).status_code == 201
    seen, cursor = [], ""
    while cursor is not None:
        page = program.get("/audit", kind="project.created", limit=3, cursor=cursor).json()
        assert len(page["items"]) <= 3
        seen += [each["after"]["name"] for each in page["items"]]
        cursor = page["next"]
    assert seen == [*(f"Project {number}" for number in reversed(range(7))), "Default"]
    actor = program.get("/users/me").json()["id"]
    found = program.get("/audit", actor=actor).json()["items"]
    assert {each["actor_kind"] for each in found} == {"service_token"}
    assert {each["actor_role"] for each in found} == {"service_token"}
    assert program.get("/audit", since=(timezone.now() + timedelta(days=1)).isoformat()).json()["items"] == []


def test_pages_of_rows_made_at_the_same_moment_neither_skip_nor_repeat(program, tenant):
    with time_machine.travel(timezone.now(), tick=False):
        for number in range(9):
            program.post("/projects", {"name": f"P{number}"})
    seen, cursor = [], ""
    while cursor is not None:
        page = program.get("/projects", limit=2, cursor=cursor).json()
        seen += [each["name"] for each in page["items"]]
        cursor = page["next"]
    assert sorted(seen) == sorted([*(f"P{number}" for number in range(9)), "Default"])


def test_a_cursor_of_another_list_or_of_one_s_own_making_is_refused(program):
    program.post("/projects", {"name": "Second"})
    cursor = program.get("/projects", limit=1).json()["next"]
    assert cursor
    assert_problem(program.get("/keys", cursor=cursor), 422, "invalid_cursor")
    assert_problem(program.get("/projects", cursor=cursor + "x"), 422, "invalid_cursor")
    assert_problem(program.get("/projects", limit=0), 422, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/projects", b"{not json", 400, "bad_request"),
        ("POST", "/projects", b"[]", 422, "invalid_request"),
        ("POST", "/projects", b'{"name": 5}', 422, "invalid_request"),
        ("POST", "/projects", b'{"name": "\\ud800"}', 422, None),
        ("POST", "/projects", b'{"name": "\\u0000"}', 422, None),
        ("POST", "/projects", b'{"name": "Default"}', 409, "conflict"),
        ("GET", "/no-such-thing", b"", 404, "not_found"),
        ("GET", "/tokens/%00", b"", 405, "method_not_allowed"),
        ("DELETE", "/tokens/short", b"", 422, "invalid_request"),
        ("PATCH", "/projects", b"", 405, "method_not_allowed"),
        ("GET", "/audit?since=tomorrow", b"", 422, "invalid_request"),
    ],
)
def test_whatever_is_wrong_the_answer_is_a_problem(program, method, path, body, status, code):
    answer = program.client.generic(method, ROOT + path, body, content_type="application/json")
    assert_problem(answer, status, code or answer.json()["code"])
    if status == 405:
        assert answer.headers["Allow"]


def test_an_error_of_ours_is_a_problem_that_tells_nothing(program, monkeypatch):
    from tenants.api import projects

    def broken(**_):
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(projects, "create_project", broken)
    answer = program.post("/projects", {"name": "Any"})
    assert_problem(answer, 500, "internal_error")
    assert b"secret" not in answer.content


def test_input_is_never_repeated_in_a_problem(program):
    answer = program.post("/projects", {"name": ["a secret"]})
    assert b"a secret" not in answer.content


def test_a_create_with_a_key_is_done_once(program, tenant):
    body, named = {"name": "Once"}, {"idempotency-key": "a-key-0001"}
    first, second = program.post("/projects", body, **named), program.post("/projects", body, **named)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert ("Idempotent-Replayed" in first.headers, second.headers["Idempotent-Replayed"]) == (False, "true")
    with tenant_scope(tenant.id):
        assert Project.objects.filter(name="Once").count() == 1
    assert_problem(program.post("/projects", {"name": "Two"}, **named), 409, "idempotency_key_reused")
    elsewhere = Program(service_token(tenant).text).post("/projects", {"name": "Two"}, **named)
    assert elsewhere.status_code == 201, "another caller's key is another key"
    bad = program.post("/projects", {"name": "Three"}, **{"idempotency-key": "short"})
    assert_problem(bad, 422, "invalid_idempotency_key")


def test_what_was_refused_can_be_put_right_under_the_same_key(program):
    named = {"idempotency-key": "a-key-0002"}
    assert program.post("/projects", {"name": "Default"}, **named).status_code == 409
    assert KeptAnswer.objects.count() == 0


def test_a_key_is_forgotten_after_a_day(program):
    named = {"idempotency-key": "a-key-0003"}
    assert program.post("/projects", {"name": "First"}, **named).status_code == 201
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        assert program.post("/projects", {"name": "Second"}, **named).json()["name"] == "Second"


def test_a_kept_answer_shows_no_secret_to_whoever_reads_the_table(program, tenant):
    named = {"idempotency-key": "a-key-0004"}
    body = {"name": "Bot", "project_id": project_of(tenant).id, "env": "dev"}
    issued = program.post("/keys", body, **named).json()
    assert program.post("/keys", body, **named).json()["key"] == issued["key"]
    row = json.dumps(list(KeptAnswer.objects.values("holder", "key_sha256", "request_sha256", "sealed")))
    assert issued["key"] not in row
    assert "a-key-0004" not in row


@pytest.mark.django_db(transaction=True)
def test_creates_at_the_same_moment_with_one_key_make_one():
    tenant = make_tenant("Racing")
    text = service_token(tenant).text

    def create(_):
        try:
            return Program(text).post("/projects", {"name": "Raced"}, **{"idempotency-key": "a-key-0005"})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(create, range(4)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1


def test_a_caller_who_calls_too_often_waits(tenant, settings):
    settings.API_REQUESTS_PER_MINUTE = 3
    program, other = Program(service_token(tenant).text), Program(service_token(tenant).text)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        left = [program.get("/users/me").headers["RateLimit-Remaining"] for _ in range(3)]
        assert left == ["2", "1", "0"]
        refused = program.get("/users/me")
        assert_problem(refused, 429, "too_many_requests")
        assert (refused.headers["Retry-After"], refused.headers["RateLimit-Limit"]) == ("20", "3")
        assert other.get("/users/me").status_code == 200, "a caller's limit is its own"
        clock.shift(20)
        assert program.get("/users/me").status_code == 200


def test_a_token_of_every_tenant_names_the_one_that_it_means(tenant):
    text = service_token(None, "projects.view", name="Platform").text
    assert_problem(Program(text).get("/projects"), 403, "no_tenant")
    assert_problem(Program(text, **{"x-spendops-tenant": "t_unknown00000"}).get("/projects"), 403, "no_tenant")
    named = Program(text, **{"x-spendops-tenant": tenant.id})
    assert [each["name"] for each in named.get("/projects").json()["items"]] == ["Default"]
    assert Program(text).get("/users/me").json()["tenant"] is None


def test_the_description_says_all(program):
    described = program.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    schemes = described["components"]["securitySchemes"]
    assert {each["type"] for each in schemes.values()} == {"http", "apiKey"}
    for path, methods in described["paths"].items():
        for method, each in methods.items():
            where = f"{method} {path}"
            assert {name for scheme in each["security"] for name in scheme} == set(schemes), where
            assert each["summary"], where
            assert {"400", "401", "403", "422", "429"} <= set(each["responses"]), where
            for status, answer in each["responses"].items():
                assert "X-Request-Id" in answer["headers"], where
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"], where
            if "201" in each["responses"]:
                assert any(parameter["name"] == "Idempotency-Key" for parameter in each["parameters"]), where


def test_keys_through_the_api(program, tenant):
    body = {"name": "Bot", "project_id": project_of(tenant).id, "env": "dev", "allowed_models": ["gpt-4o*"]}
    issued = program.post("/keys", body).json()
    assert issued["key"].startswith("so_dev_")
    (listed,) = program.get("/keys", env="dev").json()["items"]
    assert (listed["id"], listed["allowed_models"], "key" in listed) == (issued["id"], ["gpt-4o*"], False)
    assert program.delete(f"/keys/{issued['id']}").json()["status"] == "revoked"
    other = make_tenant("Elsewhere")
    foreign = program.post("/keys", body | {"project_id": project_of(other).id})
    missing = program.post("/keys", body | {"project_id": "p_000000000000"})
    assert (foreign.status_code, foreign.content) == (422, missing.content)
