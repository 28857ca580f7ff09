"""Every address and every operation × every role: who is let in, who is told which role is needed, who sees nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from spendops.api import api
from tenants.frame.operations import operations_of
from tenants.permissions import POLICY, Permission, Role
from tests.access.test_gates import OPEN_TO_ANYBODY, every_address
from tests.browsing import Person
from tests.spend.customer import Customer
from tests.tenants.company import EVERYBODY, MISSING, SIGNED_OUT, STRANGER, Company, last_month
from tests.tenants.permission_table import OPERATIONS, OWN_ACCOUNT, PAGES

pytestmark = pytest.mark.django_db

METHODS = ("GET", "POST")


@pytest.fixture
def company(db: None) -> Company:
    return Company()


def pages() -> dict[str, Any]:
    """The product's pages and forms by name: all addresses but the API's, the public ones and one's own account."""
    found = {name: pattern for name, _, pattern in every_address() if not name.startswith(("api:", "state:"))}
    return {name: found[name] for name in found.keys() - OPEN_TO_ANYBODY - OWN_ACCOUNT}


def address_of(name: str, ids: dict[str, Any]) -> str:
    """The address of a page. Two kinds of object are both called `event_id`: audit events have numbers."""
    known = ids | ({"event_id": ids["audit_event_id"]} if name == "tenants:audit_event" else {})
    known |= {"kind": "pdf"} if name == "spend:statement_file" else {}
    template = next(str(each.pattern) for found, _, each in every_address() if found == name)
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda part: str(known[part[1]]), template)


def step_up_of(name: str) -> str:
    """How a page's view must be confirmed: "fresh", "bound" or not ("")."""
    return next(getattr(each.callback, "step_up", "") for found, _, each in every_address() if found == name)


def send(person: Person, method: str, name: str, ids: dict[str, Any]) -> Any:
    """Ask as a browser does; what needs a confirmation of its own gets one. What is posted makes no sense."""
    address = address_of(name, ids)
    if method == "GET":
        return person.get(address)
    if step_up_of(name) == "bound" and hasattr(person, "user"):
        return person.confirmed_post(address, {"sent": "1"})
    return person.post(address, {"sent": "1"})


def test_c08_every_address_has_an_expectation():
    listed = {name for _, name in PAGES}
    assert listed == set(pages()), "give each new address a line in permission_table.py"


def test_c08_every_operation_of_the_api_has_an_expectation():
    assert {(method, path) for method, path, _ in operations_of(api)} == set(OPERATIONS)


@pytest.mark.parametrize("who", EVERYBODY)
def test_c08_everybody_gets_the_expected_answer_at_every_page(company, clickhouse, who):
    company.person(who)
    ids = company.ids | {"event_id": _call(company)}
    wrong = []
    for name in pages():
        for method in METHODS:
            if (method, name) not in PAGES:
                answer = send(company.person(Role.TENANT_ADMIN), method, name, ids)
                if answer.status_code not in (403, 405):
                    wrong.append(f"{method} {name} has no line in permission_table.py: {answer.status_code}")
    for (method, name), expected in PAGES.items():
        answer = send(company.person(who), method, name, ids)
        found = answer.status_code
        if who == SIGNED_OUT:
            right = found == 302 and answer.headers["Location"].startswith("/sign-in")
        elif who == STRANGER:
            own = expected.status if Role.TENANT_ADMIN in expected.who else 403
            right = found == (own if expected.stranger is None else expected.stranger)
        elif who in expected.who:
            right = found == expected.status
        else:
            right = found == 403 and "Your role does not allow this" in answer.content.decode()
        if not right:
            wrong.append(f"{method} {name}: {found}")
    assert not wrong, "\n".join(wrong)


# what is well formed where nothing but the object decides
BODIES: dict[str, dict[str, Any]] = {
    "/suspend": {"reason": "Tried."},
    "/archive": {"reason": "Tried."},
    "/settle": {"verdict": "dismissed"},
    "/seal": {"charge_usd": "0.000000000000", "requests": 0, "unpriced_requests": 0},
}


def body_of(path: str) -> dict[str, Any]:
    return next((each for end, each in BODIES.items() if path.endswith(end)), {})


@pytest.mark.parametrize("who", EVERYBODY)
def test_c08_everybody_gets_the_expected_answer_from_every_operation(company, clickhouse, who):
    ids = company.ids | {"session_id": "0" * 64, "event_id": _call(company)}
    person = company.person(who)
    wrong = []
    for (method, path), allowed in OPERATIONS.items():
        address = "/api/v1" + path.format(**ids)
        body = json.dumps(body_of(path))
        answer = person.generic(method, address, body, content_type="application/json")
        code = answer.json().get("code", "") if answer.content and isinstance(answer.json(), dict) else ""
        if who == SIGNED_OUT:
            right = answer.status_code == 401
        elif who == STRANGER and "{" in path and Role.TENANT_ADMIN in allowed:
            right = answer.status_code == 404
        elif (Role.TENANT_ADMIN if who == STRANGER else who) in allowed:
            right = answer.status_code in (200, 201, 202, 204, 422)
            right = right or (answer.status_code == 404 and ("session" in path or path.endswith("/file")))
            right = right or (
                answer.status_code == 409
                and path.endswith(("/archive", "/bring-back", "/confirm", "/withdraw", "/seal"))
            )
        else:
            right = (answer.status_code, code) == (403, "permission_required")
        if not right:
            wrong.append(f"{method} {path}: {answer.status_code} {code}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("who", [*Role, SIGNED_OUT])
def test_c08_ones_own_account_needs_a_session_and_no_role(company, who):
    for name in sorted(OWN_ACCOUNT - {"access:sign_out"}):
        address = address_of(name, company.ids | MISSING)
        for method in METHODS:
            answer = company.person(who).generic(method, address, "{}", content_type="application/json")
            if who == SIGNED_OUT:
                assert answer.status_code == 401, (method, name)
            else:
                assert b"permission_required" not in answer.content, (method, name)
                assert answer.status_code in (200, 302, 400, 404, 405, 422, 429), (method, name, answer.status_code)


def test_the_page_says_which_role_is_needed(company):
    page = company.person(Role.FINANCE_VIEWER).get("/budgets/new").content.decode()
    assert "<strong>Tenant admin</strong>" in page
    asked = company.person(Role.FINANCE_VIEWER).get("/members", headers={"accept": "application/json"})
    assert asked.json()["code"] == "permission_required"
    assert "Platform admin or Tenant admin or Auditor" in asked.json()["detail"]


def test_each_role_lands_on_a_page_that_it_may_open_and_is_offered_no_other(company, clickhouse):
    for role in Role:
        person = company.person(role)
        page = person.get("/", follow=True)
        assert page.status_code == 200, role
        offered = re.findall(r'<li><a href="([^"]+)"', page.content.decode())
        assert offered
        assert {person.get(address).status_code for address in offered} == {200}, role


def test_what_a_role_may_not_press_is_not_shown(company, clickhouse):
    ids = company.ids
    viewer, developer = company.person(Role.FINANCE_VIEWER), company.person(Role.DEVELOPER)
    for person, address, absent in (
        (viewer, "/budgets", "/budgets/new"),
        (viewer, f"/budgets/{ids['budget_id']}", "/archive"),
        (viewer, "/projects", "/projects/new"),
        (viewer, "/alerts/channels", "/remove"),
        (developer, f"/keys/{ids['key_id']}", "/revoke"),
        (developer, "/keys", "/keys/issue"),
    ):
        shown = person.get(address).content.decode()
        assert absent not in shown, address
        assert absent in company.person(Role.TENANT_ADMIN).get(address).content.decode(), address


def test_the_policy_gives_nobody_everything_and_no_permission_to_nobody():
    assert set(POLICY) == set(Role)
    assert frozenset().union(*POLICY.values()) - POLICY[Role.TENANT_ADMIN] <= POLICY[Role.PLATFORM_ADMIN] | {
        Permission.SPEND_VIEW_OWN,
        Permission.KEYS_VIEW_OWN,
    }
    assert not {each for each in POLICY[Role.PLATFORM_ADMIN] if each.startswith("keys.")}


def _call(company: Company) -> str:
    """A call with the developer's key, counted; and one in the month that is over."""
    customer = Customer(company.tenant)
    customer.call(last_month(company.tenant))
    return str(customer.call(key=company.ids["key_id"], project=company.ids["project_id"]).event_id)
