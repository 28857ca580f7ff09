"""Exports on pages, by the API, by the command and by the worker: who may, what is asked, what is answered."""

from __future__ import annotations

import html
import io
import json
import re
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from changes.models import AuditEvent
from spend.exports.run import work_off_all
from spend.exports.starting import start_when_needed
from spend.models import Export
from spend.tasks import expire_exports
from tenants.actions.tokens import issue_token
from tenants.permissions import Permission, Role
from tenants.scope import across_tenants, tenant_scope
from tests.spend.customer import SOMEBODY, Customer
from tests.spend.exported import path_of, rows_of, summed
from tests.tenants.company import STRANGER, Company
from wire.events import Denied

pytestmark = pytest.mark.django_db


@pytest.fixture
def company(queues, clickhouse, settings, tmp_path) -> Company:
    settings.EXPORTS = tmp_path / "exports"
    return Company()


@pytest.fixture
def customer(company) -> Customer:
    return Customer(company.tenant, zone="Asia/Kolkata")


def text_of(response) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def newest(company) -> Export:
    with tenant_scope(company.tenant.id):
        return Export.objects.latest("created_at")


def yesterday(customer) -> str:
    return (customer.now.date() - timedelta(days=1)).isoformat()


def body_of(response) -> bytes:
    """The file. It is closed without the signal that a request ended, which would close the test's database."""
    assert response.status_code == 200
    with ExitStack() as stack:
        for close in response._resource_closers:
            stack.callback(close)
        return b"".join(response.streaming_content)


@pytest.mark.parametrize(
    ("page", "address", "kind", "expected"),
    [
        ("spend", "/spend?group=key&env=dev&period=7d", "spend", {"by": ["key"], "env": ["dev"]}),
        ("explore", "/explore?by=key&not-env=prod", "spend", {"by": ["key"], "not-env": ["prod"]}),
        ("requests", "/requests?model=gpt-4o-mini&status=ok", "usage", {"called": ["gpt-4o-mini"], "status": ["ok"]}),
        ("denials", "/denials?reason=budget_exhausted", "denials", {"reason": ["budget_exhausted"]}),
    ],
)
def test_each_page_offers_what_it_shows_as_a_file(company, customer, page, address, kind, expected):
    customer.call(customer.midnight - timedelta(hours=1))
    customer.refuse(customer.midnight - timedelta(hours=1), reason=Denied.BUDGET_EXHAUSTED)
    finance = company.person(Role.FINANCE_VIEWER)
    shown = finance.get(address).content.decode()
    offered = html.unescape(re.search(r'href="(/exports/new\?of=[^"]+)"', shown)[1])
    assert f"of={page}" in offered
    form = finance.get(offered).content.decode()
    action = html.unescape(re.search(r'action="(/exports/new\?[^"]+)"', form)[1])
    query = parse_qs(urlsplit(action).query)
    assert query["kind"] == [kind]
    assert query["zone"] == ["Asia/Kolkata"]
    assert {name: query[name] for name in expected} == expected


def test_from_the_form_to_the_file(company, customer):
    customer.call(customer.midnight - timedelta(hours=2), cost="1.25")
    finance, day = company.person(Role.FINANCE_VIEWER), yesterday(customer)
    sent = {"kind": "spend", "format": "csv", "first": day, "last": day, "each": "day", "by": "model", "then": "key"}
    begun = finance.post("/exports/new", sent)
    assert (begun.status_code, begun.headers["Location"]) == (302, "/exports"), text_of(begun)
    job = newest(company)
    page = finance.get("/exports")
    assert "Waiting" in text_of(page)
    seen = html.unescape(re.search(r'hx-get="(/exports[^"]+)"', page.content.decode())[1])
    assert finance.get(seen).status_code == 204
    assert finance.get(f"/exports/{job.pk}/file").status_code == 404
    assert work_off_all() == 1
    page = text_of(finance.get(seen))
    assert "Ready" in page
    assert "Spend by Model and API key, each day" in page
    job = newest(company)
    assert job.sha256 in page
    file = finance.get(f"/exports/{job.pk}/file")
    name = f"spendops-ours-spend-{day}-to-{day}.csv"
    assert file.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert file.headers["Cache-Control"] == "private, no-store"
    data = body_of(file)
    assert data == path_of(job).read_bytes()
    manifest = finance.get(f"/exports/{job.pk}/manifest").json()
    assert (manifest["file"], manifest["sha256"], manifest["partial"]) == (name, job.sha256, False)
    with across_tenants("a test looks"):
        assert AuditEvent.objects.filter(kind="export.downloaded", target_id=job.pk).count() == 1
    assert summed(job, "charge_usd") == Decimal("1.25")
    assert finance.post(f"/exports/{job.pk}/delete").status_code == 302
    assert "Nothing was exported yet" in text_of(finance.get("/exports"))


def test_a_period_that_is_not_complete_is_asked_about_and_labelled(company, customer):
    customer.call()
    finance, day = company.person(Role.FINANCE_VIEWER), customer.now.date().isoformat()
    assert "This period is not complete. The period ends at" in text_of(finance.get("/exports/new"))
    sent = {"kind": "usage", "format": "parquet", "first": day, "last": day, "each": "day"}
    asked = finance.post("/exports/new", sent)
    assert asked.status_code == 422
    assert "Confirm that a partial file will do" in text_of(asked)
    assert finance.post("/exports/new", sent | {"partial": "on"}).status_code == 302
    assert work_off_all() == 1
    page = text_of(finance.get("/exports"))
    assert "Ready, partial" in page
    assert "The period ends at" in page
    file = finance.get(f"/exports/{newest(company).pk}/file")
    assert body_of(file)
    assert "-partial.parquet" in file.headers["Content-Disposition"]


def test_what_the_form_refuses_is_told_beside_its_field(company, customer):
    finance, day = company.person(Role.FINANCE_VIEWER), yesterday(customer)
    sent = {"kind": "focus-1.2", "format": "xlsx", "first": day, "last": day, "each": "day"}
    assert "FOCUS comes as CSV or Parquet" in text_of(finance.post("/exports/new", sent))
    swapped = sent | {"format": "csv", "first": customer.now.date().isoformat()}
    assert "swap them" in text_of(finance.post("/exports/new", swapped))
    assert "Write a date" in text_of(finance.post("/exports/new", sent | {"first": "soon"}))
    nonsense = finance.get("/exports/new?of=budgets", follow=True)
    assert "This page cannot be exported" in text_of(nonsense)
    assert "means nothing" in text_of(finance.get("/exports/new?first=2026-01-01&last=2026-01-02&x=1", follow=True))


def test_an_export_is_asked_for_again_and_cancelled(company, customer):
    finance, day = company.person(Role.FINANCE_VIEWER), yesterday(customer)
    customer.call(customer.midnight - timedelta(hours=2))
    sent = {"kind": "focus-1.4", "format": "csv", "first": day, "last": day, "each": "day", "partial": "on"}
    assert finance.post("/exports/new?env=dev&first=2026-01-01&last=2026-01-01", sent).status_code == 302
    job = newest(company)
    assert "env=dev" in job.query
    assert finance.post(f"/exports/{job.pk}/delete", follow=True).status_code == 200
    assert newest(company).status == Export.Status.WAITING
    assert finance.post(f"/exports/{job.pk}/cancel").status_code == 302
    page = finance.get("/exports").content.decode()
    again = html.unescape(re.search(r'href="(/exports/new\?kind=[^"]+)"', page)[1])
    assert "Environment: dev" in text_of(finance.get(again))
    assert 'value="focus-1.4" selected' in finance.get(again).content.decode()


def test_a_strangers_export_and_one_that_does_not_exist_are_the_same(company, customer):
    customer.call(customer.midnight - timedelta(hours=2))
    finance, day = company.person(Role.FINANCE_VIEWER), yesterday(customer)
    finance.post("/exports/new", {"kind": "usage", "format": "csv", "first": day, "last": day, "each": "day"})
    work_off_all()
    job = newest(company)
    assert body_of(finance.get(f"/exports/{job.pk}/file"))
    stranger = company.person(STRANGER)
    for name in ("file", "manifest"):
        for one in (job.pk, "x_000000000000"):
            assert stranger.get(f"/exports/{one}/{name}").status_code == 404
            assert stranger.get(f"/api/v1/exports/{one}").status_code == 404
    assert stranger.post(f"/exports/{job.pk}/delete").status_code == 404
    assert job.pk not in stranger.get("/exports").content.decode()
    assert stranger.get("/api/v1/exports").json()["items"] == []
    developer = company.person(Role.DEVELOPER)
    assert developer.get("/exports").status_code == 403
    assert developer.get(f"/exports/{job.pk}/file").status_code == 403
    assert "/exports/new" not in developer.get("/spend").content.decode()


def test_a_service_token_does_it_all(company, customer, client):
    customer.call(customer.midnight - timedelta(hours=2), cost="0.5")
    with tenant_scope(company.tenant.id):
        token = issue_token(
            tenant=company.tenant,
            name="Finance",
            scopes=[Permission.SPEND_EXPORT],
            expires_at=timezone.now() + timedelta(days=7),
            grantable=list(Permission),
            confirmed=True,
            by=SOMEBODY,
        ).text
    auth = {"authorization": f"Bearer {token}"}

    def post(path: str, body: dict):
        return client.post(f"/api/v1/exports{path}", body, content_type="application/json", headers=auth)

    day = yesterday(customer)
    query = f"first={day}&last={day}&by=model"
    made = post("", {"kind": "spend", "format": "parquet", "query": query, "require_complete": True})
    assert made.status_code == 201, made.content
    one = f"/api/v1/exports/{made.json()['id']}"
    assert made.json()["query"] == f"first={day}&last={day}&zone=Asia/Kolkata&each=day&by=model"
    assert client.get(f"{one}/file", headers=auth).status_code == 404
    assert work_off_all() == 1
    done = client.get(one, headers=auth).json()
    assert (done["status"], done["rows"], done["manifest"]["sums_usd"]["charge_usd"]) == ("done", 1, "0.500000000000")
    file = client.get(f"{one}/file", headers=auth)
    assert file.headers["X-SHA256"] == done["sha256"]
    assert len(body_of(file)) == done["bytes"]
    assert client.get("/api/v1/exports", headers=auth).json()["items"][0]["id"] == done["id"]
    assert client.delete(one, headers=auth).status_code == 204
    assert client.get(one, headers=auth).status_code == 404

    today = customer.now.date().isoformat()
    open_day = {"kind": "usage", "query": f"first={today}&last={today}"}
    refused = post("", open_day | {"require_complete": True})
    assert refused.status_code == 409
    assert "Nothing was exported, as the period is not complete. The period ends at" in refused.json()["detail"]
    waiting = post("", open_day).json()
    assert waiting["partial"]
    assert post(f"/{waiting['id']}/cancel", {}).json()["status"] == "cancelled"
    assert post(f"/{waiting['id']}/cancel", {}).status_code == 409
    assert post("", {"kind": "spend", "query": "by=nonsense"}).status_code == 422
    assert post("", {"kind": "focus-1.4", "format": "xlsx", "query": query}).status_code == 422


def test_the_command_writes_a_file_and_its_manifest(company, customer, tmp_path):
    customer.call(customer.midnight - timedelta(hours=2), cost="0.75")
    day = yesterday(customer)

    def export(*options: str) -> dict:
        out = io.StringIO()
        call_command("export", company.tenant.id, "--json", *options, stdout=out, stderr=io.StringIO())
        return json.loads(out.getvalue())

    said = export("--from", day, "--to", day, "--by", "model", "--only", "env=dev", "--folder", str(tmp_path))
    assert said["sums_usd"]["charge_usd"] == "0.750000000000"
    [manifest] = tmp_path.glob("*.json")
    assert json.loads(manifest.read_text())["sha256"] == said["sha256"]
    assert (tmp_path / manifest.name.removesuffix(".json")).is_file()
    assert export("--kind", "focus-1.4", "--format", "parquet", "--from", day, "--to", day)["rows"] >= 1
    today = customer.now.date().isoformat()
    with pytest.raises(CommandError, match="the period is not complete"):
        export("--from", today, "--to", today, "--complete-only")
    with pytest.raises(CommandError, match=r"write it like env=prod"):
        export("--from", day, "--to", day, "--only", "env")
    out = io.StringIO()
    call_command("export", company.tenant.name, "--from", today, "--to", today, stdout=out, stderr=io.StringIO())
    assert "Partial: The period ends at" in out.getvalue()


def test_the_worker_starts_a_process_only_when_something_waits(company, customer, monkeypatch):
    started = []

    class Process:
        ended = None

        def __init__(self, command, **_):
            started.append(command[1:])

        def poll(self):
            return Process.ended

    monkeypatch.setattr("spend.exports.starting.subprocess.Popen", Process)
    monkeypatch.setattr("spend.exports.starting._running", None)
    assert not start_when_needed()
    customer.call(customer.midnight - timedelta(hours=2))
    day = yesterday(customer)
    sent = {"kind": "usage", "format": "csv", "first": day, "last": day, "each": "day"}
    company.person(Role.FINANCE_VIEWER).post("/exports/new", sent)
    assert start_when_needed()
    assert not start_when_needed()
    Process.ended = 0
    call_command("work_off_exports")
    assert not start_when_needed()
    assert [command[1] for command in started] == ["work_off_exports"]
    assert len(rows_of(newest(company))) == 1
    with across_tenants("a test lets it expire"):
        Export.objects.update(expires_at=timezone.now())
    expire_exports()
    assert "Expired" in text_of(company.person(Role.FINANCE_VIEWER).get(reverse("spend:exports")))
