"""A foreign object and one that does not exist are told apart by nothing: not a byte, not a header."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from access.models import Session
from tenants.permissions import Role
from tests.access.test_gates import every_address
from tests.browsing import Person
from tests.spend.customer import Customer
from tests.tenants.company import MISSING, STRANGER, Company
from tests.tenants.permission_table import OPERATIONS, PAGES
from tests.tenants.test_permissions import address_of, body_of, step_up_of

pytestmark = pytest.mark.django_db

# words and prices of the product, alike for everybody, and what is signed and opens without a session
NO_OBJECTS = {"kind", "provider", "model", "sync_id", "token"}
OWN_OBJECTS = [("POST", f"access:{name}") for name in ("rename", "remove", "disable", "enable", "end_session")]
JSON = "application/json"
SAME = {"X-Request-Id": "request-0001"}  # error pages show it


def names_an_object(name: str) -> bool:
    pattern = next(str(each.pattern) for found, _, each in every_address() if found == name)
    return bool(set(re.findall(r"<(?:\w+:)?(\w+)>", pattern)) - NO_OBJECTS)


OBJECT_PAGES = [*[each for each in PAGES if names_an_object(each[1])], *OWN_OBJECTS]


@pytest.fixture
def company(db: None) -> Company:
    return Company()


def everything_of(answer: Any) -> tuple[int, dict[str, str], bytes]:
    headers = {name: value for name, value in answer.items() if not name.startswith("RateLimit-")}
    return (
        answer.status_code,
        headers,
        re.sub(rb'(csrf-token" content|csrfmiddlewaretoken" value)="\w+"', b"", answer.content),
    )


def ask(person: Person, method: str, name: str, ids: dict[str, Any], **headers: str) -> Any:
    address = address_of(name, ids)
    if method == "GET":
        return person.get(address, headers=SAME | headers)
    if step_up_of(name) == "bound":
        return person.confirmed_post(address, {"name": "x"}, headers=SAME | headers)
    return person.post(address, {"name": "x"}, headers=SAME | headers)


def test_every_object_s_address_is_compared():
    with_objects = {name for name, _, _ in every_address() if not name.startswith("api:") and names_an_object(name)}
    assert with_objects == {name for _, name in OBJECT_PAGES}


@pytest.mark.parametrize(("method", "name"), OBJECT_PAGES)
def test_c09_a_foreign_object_is_answered_like_a_missing_one(company, clickhouse, method, name):
    ids = company.ids
    session = Session.objects.filter(user=company.person(Role.TENANT_ADMIN).user).latest("created_at").pk
    foreign = ids | {"event_id": str(Customer(company.tenant).call().event_id), "kept_key": session}
    stranger = company.person(STRANGER)
    for headers in ({}, {"accept": "application/json"}, {"hx-request": "true"}):
        answers = [ask(stranger, method, name, each, **headers) for each in (foreign, MISSING)]
        leads = [answer.headers.get("Location", "") for answer in answers]
        for answer in answers:
            answer.headers.pop("Location", None)
        assert everything_of(answers[0]) == everything_of(answers[1])
        # an address that only takes forms leads to the thing's page, and does not look whether it is there
        assert alike(leads[0], foreign) == alike(leads[1], MISSING)
        expected = PAGES.get(
            (method, name)
        )  # what is for platform admins only is refused before any object is asked for
        if method == "GET" and answers[0].status_code == 302:
            assert ("POST", name) in PAGES
            continue
        assert answers[0].status_code == (404 if expected is None or Role.TENANT_ADMIN in expected.who else 403)


def alike(address: str, ids: dict[str, str]) -> str:
    """An address without the ids that were asked for."""
    for each in sorted(ids.values(), key=lambda value: -len(str(value))):
        address = address.replace(f"/{each}", "/…")
    return address


@pytest.mark.parametrize(("method", "path"), [each for each in OPERATIONS if "{" in each[1]])
def test_c09_the_api_answers_for_a_foreign_object_as_for_a_missing_one(company, clickhouse, method, path):
    ours = company.ids | {"event_id": str(Customer(company.tenant).call().event_id)}
    session = Session.objects.filter(user=company.person(Role.TENANT_ADMIN).user).latest("created_at").pk
    stranger = company.person(STRANGER)
    body = {"GET": "", "DELETE": ""}.get(method, json.dumps(body_of(path)))
    answers = [
        everything_of(stranger.generic(method, "/api/v1" + path.format(**ids), body, JSON, headers=SAME))
        for ids in (ours | {"session_id": session}, MISSING | {"session_id": "0" * 64})
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == (404 if Role.TENANT_ADMIN in OPERATIONS[method, path] else 403)


def test_c09_a_developer_is_told_nothing_of_the_keys_and_calls_of_others(company, clickhouse):
    customer = Customer(company.tenant)
    call, developer = customer.call(), company.person(Role.DEVELOPER)
    for foreign, missing in (
        (f"/keys/{customer.key.id}", f"/keys/{MISSING['key_id']}"),
        (f"/requests/{call.event_id}", f"/requests/{MISSING['event_id']}"),
    ):
        answer = everything_of(developer.get(foreign, headers=SAME))
        assert answer == everything_of(developer.get(missing, headers=SAME))
        assert answer[0] == 404
        assert company.person(Role.TENANT_ADMIN).get(foreign).status_code == 200
