"""Keys of another system are taken over by their SHA-256: all of a list or none, and the old key works."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from changes.models import AuditEvent, OutboxRow
from tenants.actions.keys import revoke_key, rotate_key
from tenants.actions.projects import create_project
from tenants.actions.takeover import TakenOver, take_over_keys
from tenants.actions.tenants import set_quotas
from tenants.errors import ManyRefusedError, QuotaError, StatusError
from tenants.models import ApiKey, Membership, Tenant
from tenants.scope import across_tenants, tenant_scope
from tenants.takeover import read_list
from tests.tenants.making import SOMEBODY, issue, make_tenant, project_of, project_of_name, to_status
from tests.tenants.test_standing import make_user
from wire.keys import key_hash

pytestmark = pytest.mark.django_db

OLD = "sk-Gm1Yx0pZ3v9Qb2Lw8Rk4Tn"
KOLKATA = ZoneInfo("Asia/Kolkata")


def digest(text: str = OLD) -> str:
    return sha256(text.encode()).hexdigest()


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant("Acme")


def take(tenant: Tenant, text: str, **more: Any) -> TakenOver:
    given = {"project": project_of_name(tenant, "Default"), "env": "dev"} | more
    return take_over_keys(tenant=tenant, listed=read_list(text, zone=KOLKATA), by=SOMEBODY, **given)


def stored(tenant: Tenant) -> list[ApiKey]:
    with tenant_scope(tenant.id):
        return list(ApiKey.objects.order_by("name"))


def everything() -> tuple[int, int, int, int]:
    with across_tenants("a test counts"):
        living = sum(Tenant.objects.values_list("keys_living", flat=True))
        return ApiKey.objects.count(), AuditEvent.objects.count(), OutboxRow.objects.count(), living


def test_a_csv_of_all_columns_is_taken_over(tenant, settings):
    owner = make_user("asha@example.com")
    Membership.objects.create(user=owner, tenant=tenant, role="developer")
    text = (
        "\ufeffname,sha256,project,env,expires_at,owner,allowed_models,denied_models,networks,tier,rpm,tpm,tags\n"
        f'"Billing, old",{digest().upper()},default,prod,2030-06-30,Asha@example.com,gpt-4o*|claude-*,o1,'
        "192.0.2.0/24,bulk,60,,team=search|stage=beta\n"
        "\n"
        f"Second,{digest('other')},,,,,,,,,,,\n"
    )
    done = take(tenant, text)
    first, second = stored(tenant)
    assert [key.id for key in done.keys] == [first.id, second.id]
    assert (first.name, first.env, first.owner_id, first.project_id) == (
        "Billing, old",
        "prod",
        owner.pk,
        project_of(tenant).id,
    )
    assert first.expires_at == datetime(2030, 6, 30, 18, 29, 59, tzinfo=UTC)  # the end of that day in Kolkata
    assert (first.allowed_models, first.denied_models) == (["gpt-4o*", "claude-*"], ["o1"])
    assert (first.networks, first.tier, first.rpm, first.tpm) == (["192.0.2.0/24"], "bulk", 60, 0)
    assert first.tags == {"team": "search", "stage": "beta"}
    assert (first.taken_over, first.last_four, first.created_by) == (True, "", SOMEBODY.id)
    # the same hash that the gateway makes of the key's own text
    assert first.hash == key_hash(OLD, settings.SPENDOPS.pepper)
    assert (second.env, second.pepper_version) == ("dev", settings.SPENDOPS.pepper_version)
    assert Tenant.objects.get(pk=tenant.pk).keys_living == 2
    events = AuditEvent.objects.filter(kind="api_key.taken_over").order_by("id")
    assert [event.target_id for event in events] == [first.id, second.id]
    assert digest() not in json.dumps([event.after for event in events])
    assert set(OutboxRow.objects.filter(topic="key").values_list("object_id", flat=True)) == {first.id, second.id}


def test_json_lines_are_taken_over(tenant):
    rows = [
        {"name": "One", "sha256": digest(), "tags": {"team": "x"}, "allowed_models": ["gpt-4o"], "rpm": 5},
        {"name": "Two", "sha256": digest("two"), "env": "prod"},
    ]
    take(tenant, "\n".join(json.dumps(row) for row in rows))
    one, two = stored(tenant)
    assert (one.tags, one.allowed_models, one.rpm, one.env, two.env) == ({"team": "x"}, ["gpt-4o"], 5, "dev", "prod")


def test_what_is_here_already_is_skipped_also_when_it_was_revoked(tenant):
    first = take(tenant, f"name,sha256\nOne,{digest()}\n").keys[0]
    revoke_key(key=first, by=SOMEBODY)
    before = everything()
    done = take(tenant, f"name,sha256\nOne,{digest()}\n")
    assert (done.keys, [(each.line, each.key.id, each.key.status) for each in done.skipped]) == (
        [],
        [(2, first.id, "revoked")],
    )
    assert everything() == before
    assert [key.status for key in stored(tenant)] == ["revoked"]  # nothing revives it


def test_a_key_issued_here_is_known_too(tenant):
    issued = issue(tenant)
    done = take(tenant, f"name,sha256\nOne,{digest(issued.text)}\n")
    assert [each.key.id for each in done.skipped] == [issued.key.id]


def test_another_tenants_key_cannot_be_taken_over(tenant):
    take(make_tenant("Other"), f"name,sha256\nOne,{digest()}\n")
    before = everything()
    with pytest.raises(ManyRefusedError) as refused:
        take(tenant, f"name,sha256\nNew,{digest('new')}\nOne,{digest()}\n")
    assert [(each.line, each.field) for each in refused.value.faults] == [(3, "sha256")]
    assert "Other" not in refused.value.message
    assert everything() == before


def test_everything_that_is_wrong_is_said_and_nothing_half_written(tenant):
    archived = make_project_archived(tenant)
    lines = [
        "name,sha256,project,env,expires_at,owner,allowed_models,rpm,networks,tags",
        f"Good,{digest('good')},,,,,,,,",
        f",{digest('a')},,,,,,,,",
        "Secret,sk-this-is-the-key-itself,,,,,,,,",
        f"Project,{digest('b')},Nowhere,,,,,,,",
        f"Archived,{digest('c')},{archived},,,,,,,",
        f"Env,{digest('d')},,staging,,,,,,",
        f"Past,{digest('e')},,,2001-01-01,,,,,",
        f"When,{digest('f')},,,someday,,,,,",
        f"Owner,{digest('g')},,,,nobody@example.com,,,,",
        f"Model,{digest('h')},,,,,two words,,,",
        f"Limit,{digest('i')},,,,,,-5,,",
        f"Net,{digest('j')},,,,,,,300.0.0.1,",
        f"Tags,{digest('k')},,,,,,,,team",
        f"Twice,{digest('good')},,,,,,,,",
        f"Empty,{digest('')},,,,,,,,",
    ]
    before = everything()
    with pytest.raises(ManyRefusedError) as syntax:
        take(tenant, "\n".join(lines))
    # first what cannot be read at all, all of it
    assert [(each.line, each.field) for each in syntax.value.faults] == [
        (4, "sha256"),
        (9, "expires_at"),
        (12, "rpm"),
        (14, "tags"),
        (15, "sha256"),
        (16, "sha256"),
    ]
    assert "sk-this" not in str(syntax.value.faults)
    readable = [line for number, line in enumerate(lines, start=1) if number not in (4, 9, 12, 14, 15, 16)]
    with pytest.raises(ManyRefusedError) as refused:
        take(tenant, "\n".join(readable))
    assert [(each.line, each.field) for each in refused.value.faults] == [
        (3, "name"),
        (4, "project"),
        (5, "project"),
        (6, "env"),
        (7, "expires_at"),
        (8, "owner"),
        (9, "allowed_models"),
        (10, "networks"),
    ]
    assert everything() == before


def make_project_archived(tenant: Tenant) -> str:
    project = create_project(tenant=tenant, name="Old work", by=SOMEBODY)
    to_status(project, "archived")
    return project.name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no key in this list"),
        ("name,sha256\n", "no key in this list"),
        ("One,abc\n", "first line names the columns"),
        ("name,sha256,name\nOne,x,y\n", "each once"),
        ("name,sha256,colour\nOne,x,red\n", "no column 'colour'"),
        ("name,sha256\nOne,x,y,z\n", "It has 4 fields"),
        ('name,sha256\n"One,x\n', "cannot be read as CSV"),
        ('{"name": "One"', "no JSON object"),
        ("{}\n[1]\n", "no JSON object"),
        ('{"name": 5, "sha256": [1]}', "Write a text."),
        ("[" * 100_000, "first line names the columns"),
        ("{" + '"a":[' * 100_000, "no JSON object"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(text, said):
    with pytest.raises(ManyRefusedError) as refused:
        read_list(text, zone=KOLKATA)
    assert any(said in each.message for each in refused.value.faults), refused.value.faults


def test_a_list_is_at_most_ten_thousand_lines_long():
    text = "name,sha256\n" + "".join(f"Key {number},{digest(str(number))}\n" for number in range(10_001))
    with pytest.raises(ManyRefusedError, match="at most 10,000"):
        read_list(text, zone=KOLKATA)


def test_a_dry_run_says_what_would_be_and_leaves_nothing(tenant):
    before = everything()
    done = take(tenant, f"name,sha256\nOne,{digest()}\n", dry_run=True)
    assert [key.name for key in done.keys] == ["One"]
    assert everything() == before


def test_quotas_hold_for_all_of_a_list(tenant):
    set_quotas(tenant=tenant, keys_most=1, projects_most=None, by=SOMEBODY)
    before = everything()
    for dry_run in (True, False):
        with pytest.raises(QuotaError, match="2 more do not fit"):
            take(tenant, f"name,sha256\nOne,{digest()}\nTwo,{digest('two')}\n", dry_run=dry_run)
    assert everything() == before


def test_nothing_is_taken_over_into_an_archived_tenant(tenant):
    project = project_of(tenant)
    to_status(tenant, "archived")
    with pytest.raises(StatusError, match="is archived"):
        take(tenant, f"name,sha256\nOne,{digest()}\n", project=project)


def test_a_key_that_was_taken_over_is_rotated_into_one_of_ours(tenant):
    old = take(tenant, f"name,sha256\nOne,{digest()}\n").keys[0]
    new = rotate_key(key=old, grace=timedelta(hours=1), by=SOMEBODY)
    assert (new.key.taken_over, new.text.startswith("so_dev_")) == (False, True)


def test_a_longer_list_needs_no_more_lookups(tenant):
    def lookups(number: int) -> int:
        text = "name,sha256\n" + "".join(f"Key,{digest(f'{number} {each}')}\n" for each in range(number))
        with CaptureQueriesContext(connection) as seen:
            take(tenant, text, dry_run=True)
        return len(seen)

    assert lookups(200) <= lookups(2) + 10  # SQLite takes some thirty rows in one insert


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("take_over_keys", *arguments, stdout=out)
    return out.getvalue().strip()


def test_the_command_takes_over_a_file(tenant, tmp_path: Path):
    file = tmp_path / "keys.csv"
    file.write_text(f"name,sha256,env\nOne,{digest()},dev\n", encoding="utf-8")
    wanted = (str(file), "--tenant", "Acme", "--project", "Default")
    assert run(*wanted, "--dry-run").startswith("1 keys would be taken over")
    assert stored(tenant) == []
    made = json.loads(run(*wanted, "--json"))
    (key,) = stored(tenant)
    assert made["taken_over"] == [{"id": key.id, "name": "One", "project": key.project_id, "env": "dev"}]
    assert run(*wanted).splitlines() == ["0 keys taken over, 1 are here already.", "here already, active: 1"]
    again = json.loads(run(*wanted, "--json"))
    assert (again["taken_over"], again["skipped"]) == ([], [{"line": 2, "id": key.id, "status": "active"}])


def test_the_command_says_every_fault(tenant, tmp_path: Path):
    file = tmp_path / "keys.csv"
    file.write_text(f"name,sha256\nOne,abc\nTwo,{digest()}\nThree,def\n", encoding="utf-8")
    with pytest.raises(CommandError) as refused:
        run(str(file), "--tenant", "Acme", "--env", "dev")
    said = str(refused.value).splitlines()
    assert said[0] == "Nothing was changed."
    assert [line.partition(":")[0] for line in said[1:]] == ["line 2, sha256", "line 4, sha256"]
    for wrong in ("/nowhere/keys.csv",):
        with pytest.raises(CommandError, match="cannot be read"):
            run(wrong, "--tenant", "Acme")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CommandError, match="UTF-8"):
        run(str(file), "--tenant", "Acme")
