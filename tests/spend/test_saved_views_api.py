"""Saved views over the API: all that the pages can do, and nobody sees or changes what the pages would not let them."""

from __future__ import annotations

import json

import pytest

from changes.models import AuditEvent
from spend.models import SavedView
from tenants.permissions import Role
from tenants.scope import across_tenants
from tests.tenants.company import SIGNED_OUT, STRANGER, Company

VIEWS = "/api/v1/views"


@pytest.fixture
def company(db, clickhouse) -> Company:
    return Company()


def sent(person, method: str, path: str = VIEWS, *, key: str = "", **body):
    more = {"headers": {"Idempotency-Key": key}} if key else {}
    return person.generic(method.upper(), path, json.dumps(body), content_type="application/json", **more)


def test_a_view_is_saved_changed_begun_with_and_deleted(company):
    person = company.person(Role.FINANCE_VIEWER)
    answer = sent(person, "post", name="Weekly", query="by=project&not-env=dev&period=7d")
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["name"], made["query"], made["owner_id"]) == (
        "Weekly",
        "by=project&period=7d&not-env=dev",
        person.user.pk,
    )
    assert (made["shared"], made["may_change"], made["begins"]) == (False, True, False)
    own = f"{VIEWS}/{made['id']}"
    changed = sent(person, "patch", own, name="Each week", shared=True, begins=True).json()
    assert (changed["name"], changed["shared"], changed["begins"]) == ("Each week", True, True)
    assert changed["query"] == made["query"]
    assert person.get("/explore").url == f"/explore/views/{made['id']}"
    assert sent(person, "get", own).json() == changed
    assert sent(person, "get").json()["items"] == [changed]
    assert sent(person, "patch", own, begins=False).json()["begins"] is False
    assert sent(person, "delete", own).status_code == 204
    assert sent(person, "get", own).status_code == 404
    kinds = AuditEvent.objects.filter(target_id=made["id"]).order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["saved_view.shared", "saved_view.deleted"]


def test_what_a_create_names_is_done_once(company):
    person = company.person(Role.FINANCE_VIEWER)
    first, second = (sent(person, "post", key="0123456789", name="Weekly", query="by=model") for _ in range(2))
    assert first.json() == second.json()
    assert sent(person, "post", name="Weekly", query="by=model").status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "query": "by=model"},
        {"name": "A", "query": "by=nonsense"},
        {"name": "A", "query": "model=%00"},
        {"name": "A", "query": "by=model", "owner_id": "u_somebody0001"},
    ],
)
def test_what_makes_no_view_is_refused(company, body):
    assert sent(company.person(Role.FINANCE_VIEWER), "post", **body).status_code == 422


def test_nobody_sees_or_changes_what_is_not_theirs(company):
    finance, developer = company.person(Role.FINANCE_VIEWER), company.person(Role.DEVELOPER)
    private = sent(finance, "post", name="Private", query="by=model").json()["id"]
    common = sent(finance, "post", name="Common", query="by=key", shared=True).json()["id"]
    for person in (developer, company.person(Role.TENANT_ADMIN), company.person(STRANGER)):
        for method, body in (("get", {}), ("patch", {"name": "Mine"}), ("patch", {"begins": True}), ("delete", {})):
            assert sent(person, method, f"{VIEWS}/{private}", **body).status_code == 404
    assert sent(company.person(STRANGER), "get", f"{VIEWS}/{common}").status_code == 404
    assert sent(company.person(STRANGER), "get").json()["items"] == []
    assert sent(company.person(SIGNED_OUT), "get").status_code == 401
    assert [each["id"] for each in sent(developer, "get").json()["items"]] == [common]
    for method, body in (("patch", {"name": "Mine"}), ("patch", {"shared": False}), ("delete", {})):
        answer = sent(developer, method, f"{VIEWS}/{common}", **body)
        assert (answer.status_code, "Only its owner" in answer.json()["detail"]) == (422, True)
    assert sent(developer, "post", name="Theirs", query="by=key", shared=True).status_code == 422
    own = sent(developer, "post", name="Theirs", query="by=key").json()["id"]
    assert sent(developer, "patch", f"{VIEWS}/{own}", shared=True, begins=True).status_code == 422
    assert sent(developer, "get", f"{VIEWS}/{own}").json()["begins"] is False
    assert sent(developer, "patch", f"{VIEWS}/{common}", begins=True).json()["begins"] is True
    assert sent(company.person(Role.TENANT_ADMIN), "patch", f"{VIEWS}/{common}", shared=False).status_code == 200
    assert sent(developer, "get", f"{VIEWS}/{common}").status_code == 404
    assert developer.get("/explore").status_code == 200  # it began with a view that is taken back
    with across_tenants("a test looks at what is there"):
        assert SavedView.objects.get(pk=common).name == "Common"
