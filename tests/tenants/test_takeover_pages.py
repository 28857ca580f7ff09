"""Taking over keys and the leak check, in pages and API."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from changes.models import AuditEvent
from tenants.models import ApiKey, Membership, Tenant
from tenants.scope import across_tenants, tenant_scope
from tests.tenants.making import issue, make_tenant, project_of, service_token
from tests.tenants.test_api import ROOT, Program, assert_problem
from tests.tenants.test_key_pages import text
from tests.tenants.test_takeover import OLD, digest

LIST = f"name,sha256\nOld bot,{digest()}\n"


def keys(tenant: Tenant) -> list[tuple[str, str, bool]]:
    with tenant_scope(tenant.id):
        return list(ApiKey.objects.order_by("name").values_list("name", "status", "taken_over"))


def project_id(client) -> str:
    return project_of(client.tenant).id


def test_a_list_is_checked_then_taken_over(admin_client):
    form = {"text": LIST, "project": project_id(admin_client), "env": "prod"}
    page = admin_client.post("/keys/take-over", form | {"step": "check"})
    assert "1 key would be taken over" in text(page)
    assert keys(admin_client.tenant) == []
    done = admin_client.post("/keys/take-over", form | {"step": "take"}, follow=True)
    assert "1 key taken over" in text(done)
    assert keys(admin_client.tenant) == [("Old bot", "active", True)]
    with tenant_scope(admin_client.tenant.id):
        key = ApiKey.objects.get()
    assert "Taken over by its hash" in text(admin_client.get(f"/keys/{key.id}"))
    again = admin_client.post("/keys/take-over", form | {"step": "check"})
    assert "Nothing to take over" in text(again)
    assert f"/keys/{key.id}" in again.content.decode()


def test_a_file_moves_into_the_field(admin_client):
    file = SimpleUploadedFile("keys.csv", b"\xef\xbb\xbf" + LIST.encode())
    form = {"file": file, "project": project_id(admin_client), "env": "dev", "step": "check"}
    page = admin_client.post("/keys/take-over", form)
    assert "1 key would be taken over" in text(page)
    assert digest() in page.content.decode()


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "Paste a list, or choose a file."),
        ({"text": "name,sha256\nA,sk-live-secret-text\n", "env": "dev"}, "never the key itself"),
        ({"text": LIST, "env": "dev"}, "Name a project."),
        ({"text": LIST, "env": "staging"}, "Select a valid choice"),
        ({"file": SimpleUploadedFile("keys.csv", b"\xff\xfe\x00\x00")}, "no text in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(admin_client, form, said):
    answer = admin_client.post("/keys/take-over", form | {"step": "take"})
    assert answer.status_code == 422
    assert said in text(answer)
    assert keys(admin_client.tenant) == []


def test_the_faults_never_repeat_what_stands_for_a_hash(admin_client):
    answer = admin_client.post("/keys/take-over", {"text": "name,sha256\nA,sk-live-secret\n", "env": "dev"})
    faults = answer.context["faults"]
    assert "sk-live" not in json.dumps(faults)


def test_leaked_keys_are_found_and_revoked_in_one_step(admin_client, our_key, their_key):
    second = issue(admin_client.tenant, "Second")
    pasted = f"a line about salaries\n{our_key.text}\nexport KEY={second.text}\n{their_key.text}"
    page = admin_client.post("/keys/leaks", {"text": pasted})
    assert "no-store" in page.headers["Cache-Control"]
    shown, raw = text(page), page.content.decode()
    assert "2 keys found" in shown
    assert "Billing bot" in shown
    assert "Second" in shown
    assert "1 well-formed SpendOps key more" in shown
    assert "Foreign bot" not in shown
    assert their_key.key.id not in raw
    assert "salaries" not in raw
    assert our_key.text not in raw
    found = page.context["revoke_form"]["found"].value()
    for number in ("", "1", "two", "3"):
        answer = admin_client.confirmed_post("/keys/leaks/revoke", {"found": found, "number": number})
        assert answer.status_code == 422
        assert "Billing bot" in text(answer)
    assert {status for _, status, _ in keys(admin_client.tenant)} == {"active"}
    done = admin_client.confirmed_post("/keys/leaks/revoke", {"found": found, "number": "2"}, follow=True)
    assert "2 keys revoked" in text(done)
    assert {status for _, status, _ in keys(admin_client.tenant)} == {"revoked"}
    with across_tenants("a test looks"):
        assert ApiKey.objects.get(pk=their_key.key.id).status == "active"
    kinds = AuditEvent.objects.exclude(kind__startswith="user.").order_by("id").values_list("kind", flat=True)
    assert list(kinds)[-3:] == ["leaks.checked", "api_key.revoked", "api_key.revoked"]


def test_what_was_found_cannot_be_made_up_or_carried_elsewhere(admin_client, our_key):
    page = admin_client.post("/keys/leaks", {"text": our_key.text})
    found = page.context["revoke_form"]["found"].value()
    other = make_tenant("Other")
    Membership.objects.create(user=admin_client.user, tenant=other, role="tenant_admin")
    admin_client.post(f"/tenants/{other.id}/switch")
    for text_ in (found, "made-up", ""):
        answer = admin_client.confirmed_post("/keys/leaks/revoke", {"found": text_, "number": "1"}, follow=True)
        assert "check the text again" in text(answer)
    assert keys(admin_client.tenant)[0][1] == "active"


def test_an_empty_or_huge_text_is_refused_and_not_repeated(admin_client):
    assert "Paste the text" in text(admin_client.post("/keys/leaks", {"text": "  "}))
    huge = admin_client.post("/keys/leaks", {"text": "secret! " * 140_000})
    assert (huge.status_code, b"secret!" in huge.content) == (422, False)
    assert "larger than 1 MiB" in text(huge)
    assert "No key of this tenant" in text(admin_client.post("/keys/leaks", {"text": "nothing"}))


@pytest.fixture
def tenant(db) -> Tenant:
    return make_tenant("Acme")


@pytest.fixture
def program(tenant) -> Program:
    return Program(service_token(tenant).text)


def test_the_api_takes_keys_over_all_or_none(program, tenant):
    good = {"name": "Old bot", "sha256": digest(), "project": "Default", "env": "dev", "tags": {"team": "x"}}
    bad = good | {"name": "Other", "sha256": digest("other"), "project": "Nowhere"}
    refused = program.post("/keys/take-over", {"keys": [good, bad]})
    assert_problem(refused, 422, "refused")
    assert [each["field"] for each in refused.json()["errors"]] == ["2.project"]
    assert keys(tenant) == []
    dry = program.post("/keys/take-over", {"keys": [good], "dry_run": True}).json()
    assert (dry["dry_run"], dry["taken_over"][0]["id"], keys(tenant)) == (True, None, [])
    done = program.post("/keys/take-over", {"keys": [good]}).json()
    assert done["taken_over"][0]["name"] == "Old bot"
    again = program.post("/keys/take-over", {"keys": [good]}).json()
    assert (again["taken_over"], again["skipped"][0]["id"]) == ([], done["taken_over"][0]["id"])
    with_key = program.post("/keys/take-over", {"keys": [good | {"sha256": "sk-live-secret" + "x" * 50}]})
    assert with_key.status_code == 422
    assert b"sk-live" not in with_key.content


def test_the_api_names_the_faults_of_all_keys_in_one_form(program, tenant):
    good = {"name": "Old bot", "sha256": digest(), "project": "Default", "env": "dev"}
    bad = [
        good | {"sha256": "abc"},
        good,
        {"sha256": digest("x"), "rpm": "many", "colour": "red"},
        "no key",
        good | {"sha256": digest("y"), "tags": [1], "expires_at": 5, "allowed_models": "a|b", "tpm": -1},
    ]
    refused = program.post("/keys/take-over", {"keys": bad})
    assert_problem(refused, 422, "refused")
    assert {each["field"] for each in refused.json()["errors"]} == {
        "1.sha256",
        "3",
        "3.rpm",
        "4",
        "5.tags",
        "5.expires_at",
        "5.tpm",
    }
    for wrong in ({"keys": []}, {"keys": [good] * 1001}, {"keys": "x"}, {}):
        assert program.post("/keys/take-over", wrong).status_code == 422
    assert keys(tenant) == []
    schema = program.client.get("/api/v1/openapi.json").json()["components"]["schemas"]["TakeOverIn"]
    assert "sha256" in schema["properties"]["keys"]["items"]["properties"]


def test_a_line_that_cannot_be_read_hides_no_other_fault(admin_client):
    list_ = f"name,sha256,tags,rpm\nA,abc,,\nB,{digest()},,,,too many\nC,{digest('c')},,x\nD,def,,\n"
    answer = admin_client.post("/keys/take-over", {"text": list_, "env": "dev", "step": "check"})
    assert [(fault.line, fault.field) for fault in answer.context["faults"]] == [
        (2, "sha256"),
        (3, ""),
        (4, "rpm"),
        (5, "sha256"),
    ]
    open_quote = f'name,sha256\nA,abc\n"B,{digest()}\n'
    answer = admin_client.post("/keys/take-over", {"text": open_quote, "env": "dev", "step": "check"})
    assert [fault.line for fault in answer.context["faults"]] == [2, 3]


def test_the_preview_shows_what_each_key_may_do(admin_client):
    list_ = f"name,sha256,tags,rpm,networks\nA,{digest()},team=search;stage=beta,1000,192.0.2.0/24\n"
    form = {"text": list_, "project": project_id(admin_client), "env": "dev"}
    page = text(admin_client.post("/keys/take-over", form | {"step": "check"}))
    for shown in ("team=search", "stage=beta", "1,000 requests a minute", "192.0.2.0/24"):
        assert shown in page
    done = text(admin_client.post("/keys/take-over", form | {"step": "take"}, follow=True))
    assert "They work as soon as the gateways know them" in done


def test_the_api_finds_and_revokes_leaked_keys(program, tenant):
    program.post("/keys/take-over", {"keys": [{"name": "Old", "sha256": digest(), "project": "Default", "env": "dev"}]})
    issued = issue(tenant, "New")
    body = {"text": f"x {OLD}\ny {issued.text}"}
    found = program.post("/keys/leaks", body).json()
    assert [(each["name"], each["lines"], each["status"]) for each in found["found"]] == [
        ("New", [2], "active"),
        ("Old", [1], "active"),
    ]
    revoked = program.post("/keys/leaks/revoke", body).json()
    assert {each["status"] for each in revoked["found"]} == {"revoked"}
    assert {status for _, status, _ in keys(tenant)} == {"revoked"}


def test_the_api_changes_tenants_and_projects(program, tenant):
    own = program.client.get(f"{ROOT}/tenants/{tenant.id}").json()
    assert (own["status"], own["billing_day"], own["version"]) == ("active", 1, 1)
    assert [each["id"] for each in program.get("/tenants").json()["items"]] == [tenant.id]  # a token of one tenant
    other = make_tenant("Other")
    assert program.get(f"/tenants/{other.id}").status_code == 404
    assert_problem(program.post("/tenants", {"name": "New"}), 403, "scope_required")
    patched = _patch(program, f"/tenants/{tenant.id}", {"tags": {"region": "emea"}, "version": 1})
    assert (patched.status_code, patched.json()["tags"], patched.json()["name"]) == (200, {"region": "emea"}, "Acme")
    stale = _patch(program, f"/tenants/{tenant.id}", {"name": "New", "version": 1})
    assert_problem(stale, 409, "stale")
    project = program.post("/projects", {"name": "Search", "keys_most": 1}).json()
    address = f"/projects/{project['id']}"
    assert _patch(program, address, {"keys_most": None}).json()["keys_most"] is None
    assert _patch(program, address, {"name": "Found"}).json()["name"] == "Found"
    assert program.post(f"{address}/suspend", {"reason": "Why not."}).json()["status"] == "suspended"
    assert program.post(f"{address}/archive", {"reason": "Over."}).json()["status"] == "archived"
    assert_problem(program.post(f"{address}/resume", {}), 409, "conflict")
    assert program.post(f"{address}/bring-back", {}).json()["status"] == "suspended"


def test_a_token_of_all_tenants_looks_after_them_without_choosing_one(db):
    program = Program(service_token(None, "tenants.create", "tenants.change").text)
    made = program.post("/tenants", {"name": "Globex", "keys_most": 1})
    assert made.status_code == 201
    address = f"/tenants/{made.json()['id']}"
    assert program.post(f"{address}/suspend", {"reason": "Unpaid."}).json()["status_reason"] == "Unpaid."
    assert [each["name"] for each in program.get("/tenants", status="suspended").json()["items"]] == ["Globex"]
    assert program.post(f"{address}/archive", {"reason": "Left."}).json()["status"] == "archived"
    assert_problem(_patch(program, address, {"name": "New"}), 409, "conflict")
    assert _patch(Program(service_token(None, "tenants.create").text), address, {}).status_code == 403


def test_quotas_are_not_for_who_may_change_settings_only(tenant):
    program = Program(service_token(tenant, "settings.change").text)
    assert_problem(_patch(program, f"/tenants/{tenant.id}", {"keys_most": 5}), 403, "permission_required")
    assert _patch(program, f"/tenants/{tenant.id}", {"billing_day": 5}).json()["billing_day"] == 5
    full = Program(service_token(tenant).text)
    assert _patch(full, f"/tenants/{tenant.id}", {"keys_most": 0}).json()["keys_most"] == 0
    project = full.get("/projects").json()["items"][0]["id"]
    assert_problem(full.post("/keys", {"name": "Bot", "project_id": project, "env": "dev"}), 409, "quota_used_up")


def _patch(program: Program, path: str, body):
    return program.client.patch(f"{ROOT}{path}", body, content_type="application/json")
