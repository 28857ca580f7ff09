"""Many keys are changed at once: exactly those that were confirmed, in pieces that survive being broken off."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest

from bench.parts._keys import add_keys
from changes.models import AuditEvent, OutboxRow
from tenants.actions import key_batches
from tenants.actions.key_batches import begin_batch, work_off, work_off_all
from tenants.actions.keys import disable_key, revoke_key
from tenants.actions.tenants import archive_tenant, suspend_tenant
from tenants.errors import InvalidSettingError, StatusError
from tenants.models import ApiKey, KeyBatch, Project, Tenant
from tenants.scope import tenant_scope
from tests.tenants.making import SOMEBODY, issue, make_tenant, project_of

pytestmark = pytest.mark.django_db


def keys_of(tenant: Tenant) -> dict[str, ApiKey]:
    with tenant_scope(tenant.id):
        return {key.name: key for key in ApiKey.objects.all()}


def run(tenant: Tenant, action: str, *names: str, **arguments: Any) -> KeyBatch:
    ids = [key.pk for name, key in keys_of(tenant).items() if name in names]
    return work_off(begin_batch(tenant_id=tenant.id, action=action, keys=ids, arguments=arguments or None, by=SOMEBODY))


@pytest.fixture
def tenant() -> Tenant:
    """With keys that work, one that rests and one that is revoked."""
    made = make_tenant()
    for name in ("one", "two", "resting", "gone"):
        issue(made, name)
    found = keys_of(made)
    disable_key(key=found["resting"], by=SOMEBODY)
    revoke_key(key=found["gone"], by=SOMEBODY)
    return made


EVERY = ("one", "two", "resting", "gone")


@pytest.mark.parametrize(
    ("action", "arguments", "changed", "skipped"),
    [
        ("disable", {}, {"one", "two"}, {"disabled already": 1, "revoked for ever": 1}),
        ("enable", {}, {"resting"}, {"enabled already": 2, "revoked for ever": 1}),
        ("revoke", {}, {"one", "two", "resting"}, {"revoked already": 1}),
        ("expiry", {"expires_at": "2031-05-06T00:00:00+00:00"}, {"one", "two", "resting"}, {"revoked for ever": 1}),
        ("expiry", {"expires_at": None}, set(), {"so already": 3, "revoked for ever": 1}),
        ("add_tag", {"name": "team", "value": "ads"}, {"one", "two", "resting"}, {"revoked for ever": 1}),
        ("remove_tag", {"name": "team"}, set(), {"so already": 3, "revoked for ever": 1}),
        ("owner", {"owner": ""}, set(), {"so already": 3, "revoked for ever": 1}),
    ],
)
def test_what_fits_is_changed_and_the_rest_is_told(tenant, action, arguments, changed, skipped):
    before = keys_of(tenant)
    batch = run(tenant, action, *EVERY, **arguments)
    after = keys_of(tenant)
    assert {name for name in EVERY if after[name].version != before[name].version} == changed
    assert (batch.total, batch.done, batch.changed, batch.skipped) == (4, 4, len(changed), skipped)
    assert batch.finished_at is not None
    told = AuditEvent.objects.filter(target_kind="api_key", id__gt=AuditEvent.objects.get(kind="key_batch.begun").id)
    assert {event.target_id for event in told} == {after[name].pk for name in changed}


def test_revoked_keys_are_given_back_to_their_projects_and_published_before_all_else(tenant):
    OutboxRow.objects.all().delete()
    run(tenant, "revoke", *EVERY)
    with tenant_scope(tenant.id):
        assert Project.objects.get().keys_living == 0
    assert Tenant.objects.get(pk=tenant.pk).keys_living == 0
    now = OutboxRow.objects.filter(due_at__lte=datetime.now(UTC) + timedelta(minutes=1))
    assert now.count() == 3
    assert all(row.urgent for row in now)


def test_a_key_that_has_no_room_for_a_tag_is_told_with_the_reason(tenant):
    full = issue(tenant, "full", tags={f"t{number}": "x" for number in range(16)}).key
    batch = run(tenant, "add_tag", "one", "full", name="team", value="ads")
    assert batch.skipped == {"17 tags are given: give at most 16.": 1}
    assert keys_of(tenant)["one"].tags == {"team": "ads"}
    assert "team" not in keys_of(tenant)[full.name].tags


@pytest.mark.parametrize(
    ("action", "arguments", "said"),
    [
        ("fly", {}, "There is no action"),
        ("expiry", {"expires_at": "2020-01-01T00:00:00+00:00"}, "lies in the past"),
        ("add_tag", {"name": "a=b", "value": "x"}, "cannot be a tag"),
        ("add_tag", {"name": "team", "value": ""}, "cannot have this value"),
        ("remove_tag", {"name": " "}, "Write the name"),
        ("owner", {"owner": "u_nobody000000"}, "no member"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tenant, action, arguments, said):
    with pytest.raises(InvalidSettingError, match=said):
        run(tenant, action, *EVERY, **arguments)
    with pytest.raises(InvalidSettingError, match="No key is chosen"):
        begin_batch(tenant_id=tenant.id, action="disable", keys=[], by=SOMEBODY)
    with tenant_scope(tenant.id):
        assert not KeyBatch.objects.exists()


def test_a_batch_that_was_broken_off_goes_on_where_it_stopped(tenant, monkeypatch):
    monkeypatch.setattr(key_batches, "PIECE", 1)
    ids = [key.pk for key in keys_of(tenant).values()]
    batch = begin_batch(tenant_id=tenant.id, action="revoke", keys=ids, by=SOMEBODY)
    set_revoked, calls = key_batches.set_revoked, []

    def breaks(key: ApiKey, **by: Any) -> None:
        calls.append(key.pk)
        set_revoked(key, **by)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(key_batches, "set_revoked", breaks)
    with pytest.raises(KeyboardInterrupt):
        work_off(batch)
    with tenant_scope(tenant.id):
        half = KeyBatch.objects.get(pk=batch.pk)
    assert (half.done < 4, half.finished_at) == (True, None)
    work_off_all(seconds=30)
    with tenant_scope(tenant.id):
        done = KeyBatch.objects.get(pk=batch.pk)
    assert (done.changed, done.skipped) == (3, {"revoked already": 1})
    revoked = AuditEvent.objects.filter(kind="api_key.revoked").values_list("target_id", flat=True)
    assert sorted(revoked) == sorted(ids)  # one event each: nothing was done twice
    work_off_all(seconds=30)  # nothing is left


def test_a_tenant_that_is_archived_meanwhile_is_left_alone_but_loses_access(tenant):
    ids = [keys_of(tenant)[name].pk for name in ("one", "two")]
    batch = begin_batch(
        tenant_id=tenant.id, action="add_tag", keys=ids, arguments={"name": "a", "value": "b"}, by=SOMEBODY
    )
    suspend_tenant(tenant=tenant, reason="It leaves.", by=SOMEBODY)
    archive_tenant(tenant=tenant, reason="It left.", by=SOMEBODY)
    done = work_off(batch)
    assert done.changed == 0
    assert "is archived" in next(iter(done.skipped))
    with pytest.raises(StatusError):
        begin_batch(tenant_id=tenant.id, action="enable", keys=ids, by=SOMEBODY)
    assert work_off(begin_batch(tenant_id=tenant.id, action="revoke", keys=ids, by=SOMEBODY)).changed == 2


def test_ids_of_another_tenant_are_none_of_its_keys(tenant):
    theirs = issue(make_tenant("Theirs")).key
    batch = work_off(begin_batch(tenant_id=tenant.id, action="revoke", keys=[theirs.pk], by=SOMEBODY))
    assert batch.skipped == {"not there any more": 1}
    assert keys_of(Tenant.objects.get(name="Theirs"))["bot"].status == "active"


# -- the pages


def text(answer: Any) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode())))


def confirmed(person: Any, query: str, **fields: str) -> Any:
    """Open the page of a choice, and send its form as the page's script does."""
    page = person.get(f"/keys/batch?{query}")
    assert page.status_code == 200, page
    data: dict[str, Any] = {"digest": page.context["form"]["digest"].value(), "action": page.context["action"]}
    for name, value in page.context["chosen"].named_by:
        data.setdefault(name, []).append(value)
    return person.confirmed_post("/keys/batch", data | fields, follow=True)


def test_ticked_keys_are_changed_once_exactly_these_are_confirmed(admin_client):
    tenant = admin_client.tenant
    first, second, other = (issue(tenant, name).key for name in ("first", "second", "other"))
    done = confirmed(admin_client, f"action=disable&key={first.pk}&key={second.pk}")
    assert "Done" in text(done)
    assert "Changed 2 keys" in text(done)
    assert {name: key.status for name, key in keys_of(tenant).items()} == {
        "first": "disabled",
        "second": "disabled",
        "other": "active",
    }
    assert admin_client.post("/keys/batch", {"action": "enable", "key": other.pk}).status_code == 403


def test_revoking_many_needs_their_number(admin_client):
    tenant = admin_client.tenant
    for name in ("a", "b", "c"):
        issue(tenant, name)
    query = "action=revoke&all=1&status=active"
    wrong = confirmed(admin_client, query, number="2")
    assert wrong.status_code == 422
    assert "That is not how many keys are chosen. Type 3." in text(wrong)
    assert {key.status for key in keys_of(tenant).values()} == {"active"}
    assert "Changed 3 keys" in text(confirmed(admin_client, query, number="3"))
    assert {key.status for key in keys_of(tenant).values()} == {"revoked"}


def test_a_choice_that_matches_others_by_now_is_asked_anew(admin_client):
    tenant = admin_client.tenant
    issue(tenant, "a")
    page = admin_client.get("/keys/batch?action=revoke&all=1&q=")
    data = {
        "digest": page.context["form"]["digest"].value(),
        "action": "revoke",
        "all": "1",
        "number": "1",
    }
    issue(tenant, "b")
    answer = admin_client.confirmed_post("/keys/batch", data)
    assert answer.status_code == 409
    assert "nothing was done" in text(answer)
    assert "Type 2 to revoke all of them" in text(answer)
    assert {key.status for key in keys_of(tenant).values()} == {"active"}


@pytest.mark.parametrize(
    ("query", "fields", "shown"),
    [
        ("action=expiry", {"expires_on": "2031-05-06"}, ("expires_at", datetime(2031, 5, 6, 23, 59, 59, tzinfo=UTC))),
        ("action=add_tag", {"tag_name": "team", "tag_value": "ads"}, ("tags", {"team": "ads"})),
    ],
)
def test_what_a_change_needs_is_asked_for(admin_client, query, fields, shown):
    key = issue(admin_client.tenant, "a").key
    confirmed(admin_client, f"{query}&key={key.pk}", **fields)
    name, value = shown
    assert getattr(keys_of(admin_client.tenant)["a"], name) == value


def test_the_owner_of_many_is_changed(admin_client):
    key = issue(admin_client.tenant, "a").key
    confirmed(admin_client, f"action=owner&key={key.pk}", new_owner=admin_client.user.pk)
    assert keys_of(admin_client.tenant)["a"].owner_id == admin_client.user.pk


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"action": "expiry", "expires_on": "2020-01-01"}, "expires_on", "lies in the past"),
        ({"action": "add_tag", "tag_name": "a=b", "tag_value": "x"}, "tag_name", "cannot be a tag"),
        ({"action": "add_tag", "tag_name": "", "tag_value": "x"}, "tag_name", "Write the name of the tag."),
    ],
)
def test_what_cannot_be_is_said_at_its_field(admin_client, fields, field, said):
    key = issue(admin_client.tenant, "a").key
    answer = confirmed(admin_client, f"action={fields.pop('action')}&key={key.pk}", **fields)
    assert answer.status_code == 422
    assert said in answer.context["form"].errors[field][0]


def test_nothing_chosen_or_nothing_to_do_leads_back_to_the_list(admin_client):
    for query in ("action=revoke", "action=fly&all=1", "", "action=revoke&key=ZZZZZZZZZZZZ"):
        answer = admin_client.get(f"/keys/batch?{query}", follow=True)
        assert answer.redirect_chain == [("/keys", 302)]


def test_more_than_wait_for_an_answer_are_worked_off_in_pieces_with_progress(admin_client, monkeypatch):
    tenant = admin_client.tenant
    monkeypatch.setattr("tenants.views.key_batches.AT_ONCE", 3)
    monkeypatch.setattr(key_batches, "PIECE", 2)
    add_keys(tenant, project_of(tenant), 5, env="dev", publish=False)
    page = confirmed(admin_client, "action=disable&all=1")
    (address, _) = page.redirect_chain[0]
    assert "0 of 5 keys looked at" in text(page)
    assert f'hx-get="{address}?seen=0" hx-trigger="every 1s"' in page.content.decode()
    assert admin_client.get(f"{address}?seen=0").status_code == 204
    with tenant_scope(tenant.id):
        batch = KeyBatch.objects.get()
    key_batches._piece(batch)
    part = admin_client.get(f"{address}?seen=0", headers={"hx-request": "true"})
    assert "2 of 5 keys looked at" in text(part)
    assert "<html" not in part.content.decode()
    work_off_all(seconds=30)
    assert "Changed 5 keys" in text(admin_client.get(address))
    assert "every 1s" not in admin_client.get(address).content.decode()
