"""What a key may do is changed: told field by field, published at once; of two at once the second is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from changes.models import AuditEvent, OutboxRow
from publishing.render import render
from tenants.actions.key_changes import change_key
from tenants.actions.keys import disable_key, revoke_key, rotate_key
from tenants.actions.projects import archive_project, change_project, create_project
from tenants.errors import InvalidSettingError, QuotaError, RefusedError, StaleError, StatusError
from tenants.models import ApiKey, Membership, Project, Tenant
from tenants.policy import KeySettings, clean_networks, settings_of, takes_away
from tenants.scope import across_tenants, tenant_scope
from tests.browsing import Person
from tests.tenants.company import Company
from tests.tenants.making import SOMEBODY, issue, make_tenant, project_of

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ALL: dict[str, Any] = {
    "not_before": datetime(2027, 1, 1, tzinfo=UTC),
    "expires_at": datetime(2030, 1, 1, tzinfo=UTC),
    "allowed_models": ["gpt-4o*"],
    "denied_models": ["gpt-4o-audio*"],
    "allowed_providers": ["openai", "azure*"],
    "denied_providers": ["azure-eu"],
    "networks": ["192.0.2.0/24", "2001:db8::7/128"],
    "tier": "standard",
    "rpm": 600,
    "tpm": 1_000_000,
    "concurrency": 8,
    "tags": {"team": "search"},
}


def stored(key: ApiKey) -> ApiKey:
    with tenant_scope(key.tenant_id):
        return ApiKey.objects.select_related("project").get(pk=key.pk)


def changed(key: ApiKey, **fields: Any) -> ApiKey:
    return change_key(key=key, settings=replace(settings_of(stored(key)), **fields), by=SOMEBODY)


# -- the policy, pure


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        (" 192.0.2.0/24 ", "192.0.2.0/24"),
        ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
        ("2001:DB8:0:0::/48", "2001:db8::/48"),
        ("2001:db8::7", "2001:db8::7/128"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_networks_are_kept_as_blocks(given, kept):
    assert clean_networks([given, kept, ""]) == [kept]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("192.0.2", "is no network"),
        ("192.0.2.0/33", "is no network"),
        ("example.com", "is no network"),
        ("10.1.2.3/8", "write 10.0.0.0/8 for the whole block, or 10.1.2.3 for this one address"),
        ("2001:db8::7/48", "write 2001:db8::/48"),
        ("fe80::1%eth0", "names an interface"),
    ],
)
def test_what_is_no_network_is_told_with_what_was_meant(given, said):
    with pytest.raises(InvalidSettingError, match=said) as caught:
        clean_networks([given])
    assert caught.value.field == "networks"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"),
        ({"tier": "gold"}, "tier"),
        ({"rpm": -1}, "rpm"),
        ({"tpm": 10**12}, "tpm"),
        ({"concurrency": 100_001}, "concurrency"),
        ({"allowed_models": ["gpt 4o"]}, "allowed_models"),
        ({"allowed_providers": ["open ai"]}, "allowed_providers"),
        ({"denied_providers": [f"p{number}" for number in range(101)]}, "denied_providers"),
        ({"networks": [f"192.0.2.{number}" for number in range(101)]}, "networks"),
        ({"tags": {f"t{number}": "x" for number in range(17)}}, "tags"),
        ({"tags": {"a=b": "x"}}, "tags"),
        ({"expires_at": NOW - DAY}, "expires_at"),
        ({"not_before": NOW + 2 * DAY, "expires_at": NOW + DAY}, "not_before"),
        ({"not_before": NOW + 60 * 365 * DAY}, "not_before"),
    ],
)
def test_what_cannot_be_names_its_field(fields, field):
    with pytest.raises(RefusedError) as caught:
        replace(KeySettings(name="bot", project="p_1"), **fields).clean(now=NOW)
    assert caught.value.field == field


def test_what_stands_already_is_not_refused_for_having_become_old():
    over = KeySettings(name="bot", project="p_1", expires_at=NOW - DAY)
    assert replace(over, name="other").clean(now=NOW, standing=over).expires_at == NOW - DAY


@pytest.mark.parametrize(
    ("before", "after", "urgent"),
    [
        ({}, {"name": "other", "tags": {"a": "b"}}, False),
        ({}, {"allowed_models": ["o3"]}, True),
        ({"allowed_models": ["o3"]}, {"allowed_models": []}, False),
        ({"allowed_models": ["o3"]}, {"allowed_models": ["o3", "o4"]}, False),
        ({"allowed_models": ["o3"]}, {"allowed_models": ["o4"]}, True),
        ({}, {"denied_models": ["o3"]}, True),
        ({"denied_providers": ["x"]}, {"denied_providers": []}, False),
        ({}, {"networks": ["192.0.2.0/24"]}, True),
        ({}, {"rpm": 60}, True),
        ({"rpm": 60}, {"rpm": 30}, True),
        ({"rpm": 60}, {"rpm": 90}, False),
        ({"rpm": 60}, {"rpm": 0}, False),
        ({}, {"expires_at": NOW}, True),
        ({"expires_at": NOW}, {"expires_at": NOW + DAY}, False),
        ({"expires_at": NOW}, {"expires_at": None}, False),
        ({}, {"not_before": NOW}, True),
        ({"not_before": NOW}, {"not_before": None}, False),
    ],
)
def test_what_takes_something_away_is_known(before, after, urgent):
    standing = replace(KeySettings(name="bot", project="p_1"), **before)
    assert takes_away(standing, replace(standing, **after)) is urgent


# -- the action


@pytest.mark.django_db
def test_everything_that_a_key_may_do_is_issued_changed_published_and_taken_over_by_its_successor():
    key = issue(make_tenant()).key
    kept = changed(key, **ALL)
    assert {name: getattr(kept, name) for name in ALL} == ALL
    issued = issue(make_tenant("Beta"), **ALL).key
    rotated = rotate_key(key=changed(issued, not_before=None), grace=DAY, by=SOMEBODY).key
    for each in (kept, issued, rotated):
        with across_tenants("publishing renders every tenant's keys"):
            ((document,),) = render("key", [each.pk], environments=["dev"]).values()
        policy = document.content
        assert (policy.tier, policy.rpm, policy.tpm, policy.concurrency) == ("standard", 600, 1_000_000, 8)
        assert policy.networks == ("192.0.2.0/24", "2001:db8::7/128")
        assert (policy.allowed_providers, policy.denied_providers) == (("openai", "azure*"), ("azure-eu",))
        assert policy.tags == {"team": "search"}


@pytest.mark.django_db
def test_the_trail_tells_field_by_field_and_gateways_hear_first_of_what_is_taken_away():
    key = issue(make_tenant(), rpm=600).key
    OutboxRow.objects.all().delete()
    changed(key, rpm=60, tags={"team": "ads"})
    event = AuditEvent.objects.latest("id")
    assert (event.kind, event.target_id) == ("api_key.changed", key.pk)
    assert event.before == {"rpm": 600, "tags": {}}
    assert event.after == {"rpm": 60, "tags": {"team": "ads"}}
    assert OutboxRow.objects.get().urgent
    OutboxRow.objects.all().delete()
    changed(key, rpm=0)
    assert not OutboxRow.objects.get().urgent


@pytest.mark.django_db
def test_a_change_that_changes_nothing_leaves_no_trace():
    key = issue(make_tenant(), **ALL).key
    events, rows = AuditEvent.objects.count(), OutboxRow.objects.count()
    assert changed(key, name="bot").version == 1
    assert (AuditEvent.objects.count(), OutboxRow.objects.count()) == (events, rows)


@pytest.mark.django_db
def test_of_two_changes_at_once_the_second_is_told_who_changed_what():
    company = Company()
    key = issue(company.tenant, "bot").key
    asha = company.person("tenant_admin").user
    first = replace(settings_of(key), rpm=60)
    by = replace(SOMEBODY, id=asha.pk)
    change_key(key=key, settings=first, version=1, by=by)
    disable_key(key=key, by=by)
    with pytest.raises(StaleError, match=r"was changed by tenant_admin \(requests a minute, status\) after"):
        change_key(key=key, settings=replace(settings_of(key), rpm=90), version=1, by=SOMEBODY)
    assert stored(key).rpm == 60


@pytest.mark.django_db
def test_a_revoked_key_is_not_changed():
    key = issue(make_tenant()).key
    revoke_key(key=key, by=SOMEBODY)
    with pytest.raises(StatusError, match="revoked for ever"):
        changed(key, rpm=60)


@pytest.mark.django_db
def test_a_key_moves_to_another_project_with_its_count_and_within_its_quota():
    tenant = make_tenant()
    home = project_of(tenant)
    key, second = issue(tenant).key, issue(tenant, "second").key
    other = create_project(tenant=tenant, name="Support", keys_most=1, by=SOMEBODY)
    changed(key, project=other.pk)
    with tenant_scope(tenant.id):
        living = dict(Project.objects.values_list("pk", "keys_living"))
    assert living == {home.pk: 1, other.pk: 1}
    assert Tenant.objects.get(pk=tenant.pk).keys_living == 2
    with pytest.raises(QuotaError, match="its quota is 1"):
        changed(second, project=other.pk)
    change_project(project=other, keys_most=None, by=SOMEBODY)
    archive_project(project=other, reason="Over.", by=SOMEBODY)
    with pytest.raises(StatusError, match="archived"):
        changed(second, project=other.pk)
    with pytest.raises(InvalidSettingError, match="not there any more"):
        changed(second, project=project_of(make_tenant("Other")).pk)


@pytest.mark.django_db
def test_an_owner_is_a_member_and_may_have_left_since():
    company = Company()
    developer = company.person("developer").user
    key = issue(company.tenant, "theirs", owner=developer.pk).key
    with pytest.raises(InvalidSettingError, match="no member"):
        changed(key, owner="u_nobody000000")
    Membership.objects.filter(user=developer).delete()
    assert changed(key, rpm=60).owner_id == developer.pk


# -- the page


def form_of(person: Person, key: ApiKey, **fields: str) -> dict[str, str]:
    form = person.get(f"/keys/{key.pk}/edit").context["form"]
    return {name: form[name].value() or "" for name in form.fields} | fields


def test_the_form_begins_with_what_stands_there_and_keeps_exact_moments(admin_client):
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(days=40, hours=3)
    key = issue(admin_client.tenant, "bot", **ALL | {"not_before": None, "expires_at": moment}).key
    admin_client.step_up()
    before = settings_of(stored(key))
    answer = admin_client.post(f"/keys/{key.pk}/edit", form_of(admin_client, key), follow=True)
    assert "Nothing of “bot” was changed" in answer.content.decode()
    assert settings_of(stored(key)) == before
    admin_client.post(f"/keys/{key.pk}/edit", form_of(admin_client, key, rpm="60", networks="192.0.2.9"))
    assert settings_of(stored(key)) == replace(before, rpm=60, networks=["192.0.2.9/32"])


def test_two_admins_edit_a_key_at_once_and_nothing_is_lost(admin_client):
    key = issue(admin_client.tenant, "bot").key
    admin_client.step_up()
    mine = form_of(admin_client, key, name="my bot", allowed_models="gpt-4o*\nclaude-*")
    changed(key, rpm=60, expires_at=datetime(2031, 5, 6, 9, tzinfo=UTC))
    answer = admin_client.post(f"/keys/{key.pk}/edit", mine)
    assert answer.status_code == 422
    form = answer.context["form"]
    assert (form["name"].value(), form["allowed_models"].value()) == ("my bot", "gpt-4o*\nclaude-*")
    assert "(requests a minute, works until) after you opened it" in form.non_field_errors()[0]
    assert set(form.errors) == {"__all__"}  # each changed something else
    assert (form["rpm"].value(), form["expires_on"].value()) == ("60", "2031-05-06")
    page = answer.content.decode()
    assert page.count(f"{SOMEBODY.id} changed this meanwhile. It said: nothing.") == 2
    assert form.advanced_open
    assert stored(key).name == "bot"
    again = {name: form[name].value() or "" for name in form.fields}
    assert admin_client.post(f"/keys/{key.pk}/edit", again).status_code == 302
    after = stored(key)
    assert (after.name, after.rpm, after.expires_at) == ("my bot", 60, datetime(2031, 5, 6, 9, tzinfo=UTC))
    assert after.allowed_models == ["gpt-4o*", "claude-*"]


def test_only_what_two_admins_both_changed_is_asked_about(admin_client):
    key = issue(admin_client.tenant, "bot", allowed_models=["gpt-4o"], rpm=10, tags={"team": "search"}).key
    admin_client.step_up()
    mine = form_of(admin_client, key, rpm="20", tpm="500", tags="team=search\nstage=beta")
    changed(key, rpm=30, tpm=500, allowed_models=["gpt-4o", "o3"], tier="bulk")
    answer = admin_client.post(f"/keys/{key.pk}/edit", mine)
    form = answer.context["form"]
    assert form.errors["rpm"] == ["It says now: 30."]
    assert set(form.errors) == {"__all__", "rpm"}  # both set the same tokens a minute
    assert (form["rpm"].value(), form["allowed_models"].value(), form["tier"].value()) == ("20", "gpt-4o\no3", "bulk")
    assert "It said: As the caller asks." in answer.content.decode()
    again = {name: form[name].value() or "" for name in form.fields}
    changed(key, networks=["192.0.2.0/24"])  # and a third change before it is sent again
    form = admin_client.post(f"/keys/{key.pk}/edit", again).context["form"]
    assert set(form.errors) == {"__all__"}
    again = {name: form[name].value() or "" for name in form.fields}
    assert admin_client.post(f"/keys/{key.pk}/edit", again).status_code == 302
    after = stored(key)
    assert (after.rpm, after.tpm, after.tier, after.networks) == (20, 500, "bulk", ["192.0.2.0/24"])
    assert (after.allowed_models, after.tags) == (["gpt-4o", "o3"], {"team": "search", "stage": "beta"})


@pytest.mark.parametrize("opened", ["", "made up"])
def test_of_a_form_that_does_not_tell_what_it_showed_nothing_is_taken_for_unchanged(admin_client, opened):
    key = issue(admin_client.tenant, "bot").key
    admin_client.step_up()
    mine = form_of(admin_client, key, name="my bot", opened=opened)
    changed(key, rpm=60)
    form = admin_client.post(f"/keys/{key.pk}/edit", mine).context["form"]
    assert form.errors["rpm"] == ["It says now: 60."]
    assert (form["name"].value(), form["rpm"].value()) == ("my bot", "")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"networks": "10.1.2.3/8"}, "write 10.0.0.0/8 for the whole block"),
        ({"rpm": "many"}, "Write a whole number"),
        ({"tpm": "99999999999"}, "Write at most 10,000,000,000"),
        ({"tags": "search"}, "is no tag"),
        ({"tier": "gold"}, "Select a valid choice"),
        ({"allowed_providers": "open ai"}, "cannot be a provider"),
        ({"works_from": "2031-01-01", "expires_on": "2030-01-01"}, "begin to work only after its expiry"),
        ({"name": ""}, "Write a name."),
    ],
)
def test_what_cannot_be_is_said_at_its_field(admin_client, our_key, fields, said):
    admin_client.step_up()
    answer = admin_client.post(f"/keys/{our_key.key.pk}/edit", form_of(admin_client, our_key.key, **fields))
    assert answer.status_code == 422
    ((field, errors),) = answer.context["form"].errors.items()
    assert field in fields
    assert said in errors[0]
    assert stored(our_key.key).version == 1


def test_the_form_says_no_whole_word_of_a_version_that_nobody_saw(admin_client, our_key):
    admin_client.step_up()
    without = form_of(admin_client, our_key.key, name="other", version="")
    assert admin_client.post(f"/keys/{our_key.key.pk}/edit", without).status_code == 422
    assert stored(our_key.key).name == "Billing bot"


def test_a_revoked_key_has_no_form(admin_client, our_key):
    revoke_key(key=our_key.key, by=SOMEBODY)
    answer = admin_client.get(f"/keys/{our_key.key.pk}/edit", follow=True)
    assert answer.redirect_chain == [(f"/keys/{our_key.key.pk}", 302)]
    assert "revoked for ever" in answer.content.decode()
    assert "revoked already" in admin_client.get(f"/keys/{our_key.key.pk}/revoke", follow=True).content.decode()


@pytest.mark.parametrize("part", ["disable", "enable", "rotate"])
def test_an_address_that_only_takes_forms_leads_to_the_keys_page(admin_client, our_key, part):
    answer = admin_client.get(f"/keys/{our_key.key.pk}/{part}")
    assert (answer.status_code, answer.url) == (302, f"/keys/{our_key.key.pk}")
    assert admin_client.put(f"/keys/{our_key.key.pk}/{part}").status_code == 405


def test_a_keys_page_shows_what_it_may_do_and_its_history(admin_client):
    key = issue(admin_client.tenant, "bot", **ALL).key
    changed(key, rpm=60)
    page = admin_client.get(f"/keys/{key.pk}").content.decode()
    for shown in (
        "gpt-4o*",
        "gpt-4o-audio*",
        "azure*",
        "azure-eu",
        "Standard",
        "60 requests a minute · 1,000,000 tokens a minute · 8 calls at the same time",
        "192.0.2.0/24",
        "team=search",
        "Not yet",
        "<del>600</del> <ins>60</ins>",
        f'hx-get="/spend/keys/{key.pk}/use"',
    ):
        assert shown in page, shown
    assert f'hx-get="/spend/keys/{key.pk}/use"' in admin_client.get(f"/keys/{key.pk}/revoke").content.decode()


def test_developers_see_their_own_key_and_may_change_nothing_of_it(db):
    company = Company()
    developer, key_id = company.person("developer"), company.ids["key_id"]
    page = developer.get(f"/keys/{key_id}").content.decode()
    assert "What it may do" in page
    for part in ("edit", "disable", "enable", "rotate", "revoke"):
        assert f"/{part}" not in page
        for ask in (developer.get, developer.post):
            assert ask(f"/keys/{key_id}/{part}").status_code == 403
    assert "data-choose" not in developer.get("/keys").content.decode()


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("/projects/{project}/suspend", "/projects/{project}"),
        ("/projects/{project}/resume", "/projects/{project}"),
        ("/projects/{project}/archive", "/projects/{project}"),
        ("/projects/{project}/bring-back", "/projects/{project}"),
        ("/tenants/{tenant}/suspend", "/tenants/{tenant}"),
        ("/tenants/{tenant}/resume", "/tenants/{tenant}"),
        ("/tenants/{tenant}/archive", "/tenants/{tenant}"),
        ("/tenants/{tenant}/bring-back", "/tenants/{tenant}"),
        ("/tenants/{tenant}/switch", "/"),
        ("/keys/leaks/revoke", "/keys/leaks"),
        ("/members/u_nobody/remove", "/members"),
        ("/tokens/t_nobody/revoke", "/tokens"),
        ("/audit/export", "/audit"),
        ("/publishing/republish/dev", "/publishing"),
        ("/publishing/republish/dev/stop", "/publishing"),
        ("/publishing/entries/1/retry", "/publishing/trouble"),
        ("/publishing/entries/1/confirm", "/publishing/trouble"),
        ("/publishing/entries/retry-parked", "/publishing/trouble"),
        ("/publishing/objects/1/retry", "/publishing/trouble"),
        ("/publishing/comparisons/ask", "/publishing/comparisons"),
        ("/publishing/comparisons/1/confirm", "/publishing/trouble"),
    ],
)
def test_every_address_that_only_takes_forms_leads_to_a_page(admin_client, our_key, address, page):
    ids = {"tenant": admin_client.tenant.id, "project": our_key.key.project_id}
    answer = admin_client.get(address.format(**ids))
    assert (answer.status_code, answer.url) == (302, page.format(**ids))
    assert admin_client.put(address.format(**ids)).status_code == 405


def test_a_limit_may_have_commas_and_the_history_tells_it_in_words(admin_client):
    key = issue(admin_client.tenant, "bot").key
    admin_client.step_up()
    address = f"/keys/{key.pk}/edit"
    assert admin_client.post(address, form_of(admin_client, key, rpm=" 1,000 ")).status_code == 302
    assert stored(key).rpm == 1000
    assert admin_client.post(address, form_of(admin_client, key, rpm="1,00")).status_code == 422
    admin_client.post(address, form_of(admin_client, key, rpm=""))
    Tenant.objects.filter(pk=admin_client.tenant.pk).update(time_zone="Asia/Kolkata")
    changed(key, expires_at=datetime(2031, 5, 6, 9, tzinfo=UTC))
    page = admin_client.get(f"/keys/{key.pk}").content.decode()
    assert "<del>1,000</del> <ins>no limit</ins>" in page
    assert "<ins>6 May 2031 14:30 IST</ins>" in page
