"""Commands: one line of JSON for programs, a sentence for people, refusals that say what to do."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tenants.actions.projects import create_project
from tenants.models import ApiKey, Tenant
from tenants.scope import across_tenants
from tests.tenants.making import SOMEBODY, issue, make_tenant
from wire.keys import parse_key

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().strip()


def run_json(*arguments: str):
    printed = run(*arguments, "--json")
    assert "\n" not in printed
    return json.loads(printed)


def test_a_tenant_is_created():
    made = run_json("create_tenant", "Smoke", "--time-zone", "Asia/Kolkata", "--currency", "inr")
    tenant = Tenant.objects.get(id=made["id"])
    assert made == {"id": tenant.id, "name": "Smoke", "time_zone": "Asia/Kolkata", "currency": "INR"}
    printed = run("create_tenant", "Other")
    assert Tenant.objects.get(name="Other").id in printed


def test_a_tenant_is_created_with_all_its_settings():
    run(
        "create_tenant",
        "Big",
        "--billing-day",
        "15",
        "--tag",
        "region=emea",
        "--keys-most",
        "9",
        "--projects-most",
        "3",
    )
    tenant = Tenant.objects.get(name="Big")
    assert (tenant.billing_day, tenant.tags, tenant.keys_most, tenant.projects_most) == (15, {"region": "emea"}, 9, 3)
    for wrong, said in ((("--billing-day", "31"), "1 to 28"), (("--tag", "region"), "is no tag")):
        with pytest.raises(CommandError, match=said):
            run("create_tenant", "Other", *wrong)


def test_a_refusal_is_an_error_with_its_sentence():
    make_tenant("Acme")
    with pytest.raises(CommandError, match="already: choose another name"):
        run("create_tenant", "Acme")
    with pytest.raises(CommandError, match="time zone"):
        run("create_tenant", "Beta", "--time-zone", "nowhere")


def test_a_key_is_issued_and_printed_once():
    tenant = make_tenant("Acme")
    made = run_json("issue_key", "--tenant", tenant.id, "--name", "smoke", "--env", "prod", "--deny", "gpt-4o*")
    parsed = parse_key(made["key"])
    assert parsed is not None
    assert (parsed.public_id, parsed.env, made["env"]) == (made["id"], "prod", "prod")
    assert made["gateway"].startswith("http")
    with across_tenants("a test looks"):
        key = ApiKey.objects.get(pk=made["id"])
    assert (key.name, key.denied_models, key.created_by) == ("smoke", ["gpt-4o*"], "manage.py issue_key")
    printed = run("issue_key", "--tenant", "Acme", "--name", "second")
    assert parse_key(printed.splitlines()[0]) is not None
    assert made["key"] not in run("list_keys", "--tenant", tenant.id)


def test_of_several_projects_one_must_be_named():
    tenant = make_tenant()
    project = create_project(tenant=tenant, name="Support", by=SOMEBODY)
    with pytest.raises(CommandError, match="--project"):
        run("issue_key", "--tenant", tenant.id, "--name", "bot")
    for named in (project.id, "Support"):
        made = run_json("issue_key", "--tenant", tenant.id, "--project", named, "--name", "bot")
        assert made["project"] == project.id
    with pytest.raises(CommandError, match="has no project"):
        run("issue_key", "--tenant", tenant.id, "--project", "Nothing", "--name", "bot")


@pytest.mark.parametrize(("moment", "said"), [("tomorrow", "not a moment"), ("2020-01-01T00:00+00:00", "in the past")])
def test_an_expiry_that_cannot_be_is_refused(moment, said):
    tenant = make_tenant()
    with pytest.raises(CommandError, match=said):
        run("issue_key", "--tenant", tenant.id, "--name", "bot", "--expires-at", moment)


def test_a_key_is_revoked_by_its_id():
    key = issue(make_tenant()).key
    revoked = run_json("revoke_key", key.id)
    assert (revoked["id"], revoked["status"]) == (key.id, "revoked")
    assert "is revoked" in run("revoke_key", key.id)
    with pytest.raises(CommandError, match="no key with the id"):
        run("revoke_key", "nothing")


def test_keys_are_listed_by_tenant():
    ours, theirs = make_tenant("Ours"), make_tenant("Theirs")
    first, second, _ = issue(ours, "first"), issue(ours, "second", env="prod"), issue(theirs, "foreign")
    found = run_json("list_keys", "--tenant", "Ours")
    assert [key["id"] for key in found] == [second.key.id, first.key.id]
    assert [key["name"] for key in run_json("list_keys", "--tenant", "Ours", "--env", "prod")] == ["second"]
    assert run_json("list_keys", "--tenant", "Ours", "--status", "revoked") == []
    assert "has no such keys" in run("list_keys", "--tenant", "Ours", "--status", "revoked")
    with pytest.raises(CommandError, match="no tenant with the id or name"):
        run("list_keys", "--tenant", "Nobody")


@pytest.mark.parametrize("option", ["--allow", "--deny"])
def test_an_empty_name_of_a_model_is_not_every_model(option):
    """As from a shell's variable that is not set."""
    make_tenant("Acme")
    with pytest.raises(CommandError, match=f"{option} needs the name of a model"):
        run("issue_key", "--tenant", "Acme", "--name", "x", "--env", "dev", option, "")
    with across_tenants("a test counts all keys"):
        assert not ApiKey.objects.exists()
