"""The audit page: found by when, who, what and about; names looked up; a copy taken away is written down, too."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
import time_machine
from django.db import transaction

from access.models import User
from changes.actor import Actor
from changes.models import AuditEvent
from changes.record import record
from tenants.actions.keys import disable_key, revoke_key
from tenants.models import Membership
from tenants.permissions import Role
from tests.tenants.making import SOMEBODY, issue, make_tenant

pytestmark = pytest.mark.django_db


def text(answer) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", answer.content.decode())))


def sentences(answer) -> list[str]:
    return ["".join(part.text for part in row["parts"]) for row in answer.context["rows"]]


def by(client) -> Actor:
    return Actor("user", client.user.pk, role="tenant_admin", address="192.0.2.44", request_id="request-0044")


@pytest.fixture
def ours(admin_client):
    """The person's own tenant with a key that was issued and disabled by them."""
    key = issue(admin_client.tenant, "checkout-web").key
    disable_key(key=key, by=by(admin_client))
    return key


@pytest.fixture
def tenant_admin(admin_client):
    """The same person, no longer a platform admin."""
    Membership.objects.filter(user=admin_client.user, role=Role.PLATFORM_ADMIN).delete()
    return admin_client


def test_events_are_told_in_sentences_with_todays_names(admin_client, ours):
    page = admin_client.get("/audit")
    assert sentences(page)[0] == "Asha disabled the key checkout-web"
    assert sentences(page)[1] == "u_somebody0001 issued the key checkout-web in dev"
    assert "192.0.2.44" in text(page)
    User.objects.filter(pk=admin_client.user.pk).update(name="Asha Rao")
    assert sentences(admin_client.get("/audit"))[0] == "Asha Rao disabled the key checkout-web"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kind=api_key.disabled", 1),
        ("kind=api_key.", 2),
        ("kind=nothing.known", None),
        ("who=asha&kind=api_key.", 1),
        ("who=asha@EXAMPLE", None),
        ("who=u_somebody0001", 1),
        ("who=nobody", 0),
        ("search=checkout", 2),
        ("search=CHECKOUT-WEB&who=Asha", 1),
        ("period=1d&kind=api_key.", 2),
        ("period=custom&first=2020-01-01&last=2020-01-02", 0),
        ("period=custom&first=2020-01-01&kind=api_key.", 2),
    ],
)
def test_filters(admin_client, ours, query, found):
    page = admin_client.get(f"/audit?{query}")
    assert page.status_code == 200
    everything = AuditEvent.objects.filter(tenant_id=admin_client.tenant.id).count()
    assert len(page.context["rows"]) == (found if found is not None else len(page.context["rows"]))
    assert len(page.context["rows"]) <= everything
    if found == 0:
        assert "Nothing matches these filters" in text(page)


def test_a_key_is_found_by_its_id_and_a_bad_date_is_said(admin_client, ours):
    assert len(admin_client.get(f"/audit?search={ours.id}").context["rows"]) == 2
    assert "Write a date like 2027-06-30." in text(admin_client.get("/audit?period=custom&first=soon"))


def test_days_are_the_tenants(admin_client):
    type(admin_client.tenant).objects.update(time_zone="Asia/Kolkata")
    with time_machine.travel(datetime(2030, 3, 31, 19, 0, tzinfo=UTC), tick=False):  # 1 April there
        issue(admin_client.tenant, "late")
    march = admin_client.get("/audit?period=custom&first=2030-03-01&last=2030-03-31&kind=api_key.")
    april = admin_client.get("/audit?period=custom&first=2030-04-01&last=2030-04-01&kind=api_key.")
    assert (len(march.context["rows"]), len(april.context["rows"])) == (0, 1)


def test_older_events_are_read_on_from_the_last_one_seen(admin_client):
    with transaction.atomic():
        for number in range(120):
            record("project.created", by=SOMEBODY, tenant=admin_client.tenant.id, target_kind="project",
                   target_id=f"p_{number}", after={"name": str(number)})  # fmt: skip
    page, seen = admin_client.get("/audit?kind=project.created"), []
    while True:
        seen += [row["event"].id for row in page.context["rows"]]
        if not page.context["next_url"]:
            break
        issue(admin_client.tenant, f"meanwhile {len(seen)}")  # what comes on top moves nothing
        page = admin_client.get(f"/audit{page.context['next_url']}")
    expected = AuditEvent.objects.filter(kind="project.created", tenant_id=admin_client.tenant.id)
    assert seen == list(expected.order_by("-id").values_list("id", flat=True))
    assert "No older events" in text(admin_client.get("/audit?before=1"))
    assert admin_client.get("/audit?before=x").status_code == 200


def test_one_event_shows_what_was_before_and_after(admin_client, ours):
    event = AuditEvent.objects.get(kind="api_key.disabled")
    page = admin_client.get(f"/audit/{event.id}")
    body = page.content.decode()
    assert "<del>active</del>" in body
    assert "<ins>disabled</ins>" in body
    for shown in ("Asha", "checkout-web", "192.0.2.44", "request-0044", event.digest, "tenant admin"):
        assert shown in body
    issued = admin_client.get(f"/audit/{AuditEvent.objects.get(kind='api_key.issued').id}")
    assert f"Default ({ours.project_id})" in text(issued)


def test_a_tenant_sees_its_own_events_only(tenant_admin, ours):
    foreign = issue(make_tenant("Strangers Ltd"), "foreign").key
    event = AuditEvent.objects.get(target_id=foreign.id)
    for query in ("", "?tenant=every", "?tenant=installation", f"?tenant={foreign.tenant_id}", "?search=foreign"):
        page = tenant_admin.get(f"/audit{query}")
        assert {row["event"].tenant_id for row in page.context["rows"]} <= {tenant_admin.tenant.id}
    same = {"accept": "text/html", "x-request-id": "the-same-for-both"}
    theirs, none = (tenant_admin.get(f"/audit/{number}", headers=same) for number in (event.id, 10**9))
    assert (theirs.status_code, theirs.content) == (404, none.content)
    tenant_admin.step_up()
    copy = tenant_admin.post("/audit/export?tenant=every", {"format": "jsonl"})
    assert foreign.id not in b"".join(copy.streaming_content).decode()


def test_a_platform_admin_may_look_at_everything(admin_client, ours):
    strangers = make_tenant("Strangers Ltd")
    revoke_key(key=issue(strangers, "foreign").key, by=SOMEBODY)
    page = admin_client.get("/audit?tenant=every&kind=api_key.")
    assert sentences(page)[0] == "u_somebody0001 revoked the key foreign"
    assert {row["tenant"] for row in page.context["rows"]} == {"Strangers Ltd", admin_client.tenant.name}
    assert len(admin_client.get(f"/audit?tenant={strangers.id}&search=foreign").context["rows"]) == 2
    installation = admin_client.get("/audit?tenant=installation")
    assert "Asha enrolled the passkey Test passkey" in sentences(installation)
    number = page.context["rows"][0]["event"].id
    assert "Strangers Ltd" in text(admin_client.get(f"/audit/{number}"))


def test_exporting_needs_a_passkey_and_is_written_down(admin_client, ours):
    later = datetime.now(UTC) + timedelta(minutes=6)
    with time_machine.travel(later):
        assert admin_client.post("/audit/export", {"format": "csv"}).status_code == 403
    assert not AuditEvent.objects.filter(kind="audit.exported").exists()
    admin_client.step_up()
    assert admin_client.post("/audit/export", {"format": "xml"}).status_code == 400
    answer = admin_client.post("/audit/export?kind=api_key.", {"format": "csv"})
    assert (answer.headers["Cache-Control"], answer.headers["Content-Type"]) == ("no-store", "text/csv; charset=utf-8")
    assert "attachment; filename=" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["kind"] for row in rows] == ["api_key.disabled", "api_key.issued"]
    assert (rows[0]["actor_name"], rows[0]["target_name"]) == ("Asha", "checkout-web")
    noted = AuditEvent.objects.get(kind="audit.exported")
    assert noted.after == {"format": "csv", "filters": {"kind": "api_key."}}
    assert (noted.actor_id, noted.tenant_id) == (admin_client.user.pk, admin_client.tenant.id)


def test_json_lines_carry_all_that_a_digest_covers(admin_client, ours, monkeypatch):
    monkeypatch.setattr("tenants.audit_export.BATCH", 2)
    admin_client.step_up()
    answer = admin_client.post("/audit/export?tenant=every", {"format": "jsonl"})
    rows = [json.loads(line) for line in b"".join(answer.streaming_content).decode().splitlines()]
    stored = {event.id: event for event in AuditEvent.objects.all()}
    assert {row["id"] for row in rows} == stored.keys()
    for row in rows:
        event = stored[row["id"]]
        assert (row["before"], row["after"], row["digest"]) == (event.before, event.after, event.digest)


def test_a_cell_is_never_a_formula(admin_client):
    issue(admin_client.tenant, "=HYPERLINK(1)")
    admin_client.step_up()
    answer = admin_client.post("/audit/export?kind=api_key.issued", {"format": "csv"})
    (row,) = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))
    assert row["target_name"] == "'=HYPERLINK(1)"
