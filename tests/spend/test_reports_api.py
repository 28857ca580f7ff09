"""The API of scheduled reports: all that the pages can do, within the tenant."""

from __future__ import annotations

import pytest
from django.test import Client

from changes.actor import Actor
from spend.models import Report
from spend.reports.actions import Wanted, schedule_report
from tenants.models import Membership
from tenants.scope import across_tenants, tenant_scope
from tests.tenants.making import make_tenant

REPORTS = "/api/v1/reports"


def sent(client: Client, method: str, path: str, body: dict[str, object] | None = None):
    return getattr(client, method)(path, body or {}, content_type="application/json")


def test_a_report_is_made_changed_paused_and_deleted(admin_client):
    person = admin_client.user.pk
    answer = sent(
        admin_client, "post", REPORTS, {"name": "Weekly", "weekday": 2, "file": "csv", "recipients": [person]}
    )
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["cadence"], made["weekday"], made["status"]) == ("weekly", 2, "active")
    assert [each["id"] for each in made["recipients"]] == [person]
    own = f"{REPORTS}/{made['id']}"
    changed = sent(admin_client, "patch", own, {"hour": 17, "group_by": "tag:team"}).json()
    assert (changed["hour"], changed["group_by"], changed["weekday"]) == (17, "tag:team", 2)
    assert changed["next_at"] != made["next_at"]
    assert sent(admin_client, "post", f"{own}/pause").json()["next_at"] is None
    assert sent(admin_client, "post", f"{own}/pause").status_code == 409
    assert sent(admin_client, "post", f"{own}/resume").json()["next_at"] == changed["next_at"]
    assert sent(admin_client, "post", f"{own}/test").status_code == 200
    [sending] = admin_client.get(f"{own}/sendings").json()["items"]
    assert (sending["kind"], sending["status"], sending["mails"]) == ("test", "waiting", 0)
    assert [each["id"] for each in admin_client.get(REPORTS).json()["items"]] == [made["id"]]
    assert admin_client.delete(own).status_code == 204
    assert admin_client.get(own).status_code == 404
    assert admin_client.get(REPORTS).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"recipients": []}, "recipients"),
        ({"recipients": ["u_nobody"]}, "people"),
        ({"group_by": "nonsense"}, "group_by"),
        ({"hour": 24}, "hour"),
        ({"to": "someone@example.org"}, "to"),
    ],
)
def test_what_makes_no_report_is_refused_at_its_field(admin_client, body, field):
    whole = {"name": "Weekly", "recipients": [admin_client.user.pk]} | body
    answer = sent(admin_client, "post", REPORTS, whole)
    assert answer.status_code == 422
    assert field in answer.content.decode()
    with across_tenants("a test looks"):
        assert not Report.objects.exists()


def test_another_tenants_report_is_not_there(admin_client):
    other = make_tenant("Strangers")
    Membership.objects.create(user=admin_client.user, tenant=other, role=Membership.Role.FINANCE_VIEWER)
    wanted = Wanted(name="Theirs", people=[admin_client.user.pk])
    with tenant_scope(other.pk):
        theirs = schedule_report(tenant=other, wanted=wanted, by=Actor("user", admin_client.user.pk))
    own = f"{REPORTS}/{theirs.pk}"
    assert admin_client.get(own).status_code == 404
    for method, path in (("patch", own), ("post", f"{own}/pause"), ("post", f"{own}/test"), ("delete", own)):
        assert sent(admin_client, method, path).status_code == 404
    assert admin_client.get(f"/reports/{theirs.pk}").status_code == 404
