"""Pages of API keys: found, issued and shown once, revoked by name."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.backends.base import SessionBase
from structlog.stdlib import ProcessorFormatter

from bench.parts._keys import add_keys
from changes.models import AuditEvent
from tenants.actions.keys import disable_key, revoke_key
from tenants.actions.projects import create_project
from tenants.models import ApiKey
from tenants.scope import tenant_scope
from tests.tenants.making import SOMEBODY, issue, project_of, to_status
from wire.keys import PATTERN, parse_key

DAY = timedelta(days=1)
FORM = {"name": "Billing bot", "env": "dev", "expires_on": "", "allowed_models": "", "denied_models": ""}


def values_of(answer) -> dict[str, Any]:
    """What sending the form of a page again would send."""
    form = answer.context["form"]
    values = {name: form[name].value() for name in form.fields}
    return {name: "" if value is None else value for name, value in values.items()}


def text(answer) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode())))


def keys(client) -> list[ApiKey]:
    with tenant_scope(client.tenant.id):
        return list(ApiKey.objects.order_by("created_at", "id"))


def stored(client, key) -> ApiKey:
    with tenant_scope(client.tenant.id):
        return ApiKey.objects.get(pk=key.pk)


def form_for(client, **changes: str) -> dict[str, str]:
    return FORM | {"project": project_of(client.tenant).id} | changes


# -- the list


def test_a_new_tenant_is_told_how_to_begin(admin_client):
    answer = admin_client.get("/keys")
    assert "No keys yet" in text(answer)
    assert 'href="/keys/issue"' in answer.content.decode()


def test_the_list_shows_what_tells_keys_apart(admin_client, our_key, their_key):
    page = text(admin_client.get("/keys"))
    for shown in ("Billing bot", "Active", "dev", "Default", f"…{our_key.key.last_four}", "No expiry"):
        assert shown in page
    assert "Foreign bot" not in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"checkout", "search", "old"}),
        ("?q=CHECK", {"checkout"}),
        ("?q=nothing", set()),
        ("?env=prod", {"search"}),
        ("?status=revoked", {"old"}),
        ("?status=active&env=dev", {"checkout"}),
    ],
)
def test_the_list_is_narrowed_by_its_address(admin_client, query, found):
    tenant = admin_client.tenant
    issue(tenant, "checkout"), issue(tenant, "search", env="prod")
    revoke_key(key=issue(tenant, "old").key, by=SOMEBODY)
    answer = admin_client.get(f"/keys{query}")
    assert {key.name for key in answer.context["page"]} == found
    if not found:
        assert "No key matches" in text(answer)


@pytest.mark.parametrize("query", ["project=zzz", "status=nonsense", "env=moon", "owner=u_nobody", "tier=gold&q=a"])
def test_a_filter_that_is_not_known_chooses_nothing(admin_client, query):
    key = issue(admin_client.tenant, "a").key
    page = admin_client.get(f"/keys?{query}")
    assert page.context["page"] == []
    assert "is not one of the available choices" in text(page)
    assert "No keys are shown" in text(page)
    for action in ("revoke", "disable"):
        answer = admin_client.get(f"/keys/batch?action={action}&all=1&{query}", follow=True)
        assert answer.redirect_chain == [("/keys", 302)]
        assert "no key was chosen" in text(answer)
    assert stored(admin_client, key).status == "active"


def test_a_search_says_that_there_is_more(admin_client, monkeypatch):
    monkeypatch.setattr("tenants.views.keys.PER_PAGE", 2)
    for number in range(5):
        issue(admin_client.tenant, f"bot {number}")
    page = admin_client.get("/keys?q=bot")
    assert page.context["shown"] == "2 shown, and more"
    page = admin_client.get(f"/keys{page.context['next_url']}")
    page = admin_client.get(f"/keys{page.context['next_url']}")
    assert page.context["shown"] == "The last 1 key"
    assert admin_client.get("/keys?env=dev").context["shown"] == "2 of 5 keys"


@pytest.mark.parametrize("status", ["suspended", "archived"])
def test_a_key_of_a_stopped_project_is_not_shown_as_active(admin_client, our_key, status):
    project = our_key.key.project
    to_status(project, status)
    page = admin_client.get(f"/keys/{our_key.key.pk}")
    assert f"Project {status}" in text(page)
    assert re.search(
        f"The gateway refuses this key: its project {project.name} is {status} ?. Reason: Tried.", text(page)
    )
    assert f'href="/projects/{project.id}"' in page.content.decode()
    assert "status-ok" not in page.content.decode()
    assert f"Project {status} dev" in text(admin_client.get("/keys"))
    revoke_key(key=our_key.key, by=SOMEBODY)
    assert f"Project {status}" not in text(admin_client.get(f"/keys/{our_key.key.pk}"))


def test_last_use_is_told_to_the_minute_and_never_before_the_issue(admin_client, our_key):
    made = datetime(2026, 11, 21, 10, 15, 42, tzinfo=UTC)
    with tenant_scope(admin_client.tenant.id):
        ApiKey.objects.filter(pk=our_key.key.pk).update(created_at=made, last_used_at=made.replace(second=0))
    for page in (f"/keys/{our_key.key.pk}", "/keys"):
        used = re.search(
            r"<time datetime=.2026-11-21T10:15:42Z. [^>]*>([^<]*)<", admin_client.get(page).content.decode()
        )
        assert used
        assert re.fullmatch(r"21 Nov \d\d:[14]5 \S+", used[1])
    with tenant_scope(admin_client.tenant.id):
        ApiKey.objects.filter(pk=our_key.key.pk).update(last_used_at=datetime(2026, 11, 21, 10, 20, tzinfo=UTC))
    assert 'datetime="2026-11-21T10:20:00Z"' in admin_client.get("/keys").content.decode()


def test_keys_are_found_by_project_by_id_and_by_their_last_four(admin_client, our_key):
    other = issue(admin_client.tenant, "other").key
    project = create_project(tenant=admin_client.tenant, name="Support", by=SOMEBODY)
    with tenant_scope(admin_client.tenant.id):
        ApiKey.objects.filter(pk=other.pk).update(project=project)
    for query in (f"project={project.id}", f"q={other.id[:6]}", f"q={other.last_four}"):
        assert [key.name for key in admin_client.get(f"/keys?{query}").context["page"]] == ["other"]


@pytest.mark.parametrize("sort", ["", "name", "used", "expiry"])
def test_long_lists_have_pages_that_leave_nothing_out_and_repeat_nothing(admin_client, monkeypatch, sort):
    monkeypatch.setattr("tenants.views.keys.PER_PAGE", 2)
    made = [issue(admin_client.tenant, f"Key {number % 3}").key for number in range(7)]
    now = datetime.now(UTC)
    with tenant_scope(admin_client.tenant.id):
        ApiKey.objects.filter(pk=made[2].pk).update(last_used_at=now, expires_at=now + timedelta(days=9))
        ApiKey.objects.filter(pk=made[5].pk).update(last_used_at=now - DAY, expires_at=now + timedelta(days=3))
        ApiKey.objects.filter(pk__in=[made[0].pk, made[1].pk]).update(expires_at=now + timedelta(days=9))
    found, address = [], f"?env=dev&sort={sort}"
    while address:
        page = admin_client.get(f"/keys{address}")
        found += list(page.context["page"])
        assert len(page.context["page"]) <= 2
        assert "env=dev" in (page.context["next_url"] or "env=dev")
        address = page.context["next_url"]
    assert len(found) == 7
    assert {key.pk for key in found} == {key.pk for key in made}
    by_name = [key.name for key in sorted(found, key=lambda key: key.name)]
    expected = {
        "": [key.pk for key in reversed(made)],
        "name": None,
        "used": [made[2].pk, made[5].pk],
        "expiry": [made[5].pk],
    }[sort]
    if expected is None:
        assert [key.name for key in found] == by_name
    else:
        assert [key.pk for key in found][: len(expected)] == expected


def test_a_page_that_nobody_made_begins_anew(admin_client, our_key):
    for nonsense in ("nonsense", "WzldOg", "1:2:3"):
        assert [key.pk for key in admin_client.get(f"/keys?after={nonsense}").context["page"]] == [our_key.key.pk]


def test_a_search_shows_names_that_begin_so_first(admin_client, monkeypatch):
    for name in ("my billing", "Billing b", "other", "billing a", "the billing"):
        issue(admin_client.tenant, name)
    assert [key.name for key in admin_client.get("/keys?q=Billing").context["page"]] == [
        "billing a",
        "Billing b",
        "the billing",
        "my billing",
    ]
    monkeypatch.setattr("tenants.views.keys.PER_PAGE", 1)
    found, address = [], "?q=billing"
    while address:
        page = admin_client.get(f"/keys{address}")
        found += [key.name for key in page.context["page"]]
        address = page.context["next_url"]
    assert found == ["billing a", "Billing b", "the billing", "my billing"]


def test_keys_are_found_by_owner_and_by_tag(admin_client):
    tenant, user = admin_client.tenant, admin_client.user
    mine = issue(tenant, "mine", owner=user.pk).key
    tagged = issue(tenant, "tagged", tags={"team": "search", "a=b".replace("=", "."): "x"}).key
    issue(tenant, "other", tags={"team": "ads"})
    for query, expected in (
        (f"q={user.email[:6]}", [mine.pk]),
        (f"owner={user.pk}", [mine.pk]),
        ("q=team%3Dsearch", [tagged.pk]),
        ("q=a.b", [tagged.pk]),
        ("q=team%3Dnothing", []),
        ("q=1%3D2", []),
    ):
        assert [key.pk for key in admin_client.get(f"/keys?{query}").context["page"]] == expected, query


def test_keys_are_found_by_what_their_moments_mean(admin_client, settings):
    tenant = admin_client.tenant
    now = datetime.now(UTC)
    names = ("active", "soon", "over", "resting", "gone", "idle", "pepper")
    made = {name: issue(tenant, name).key for name in names}
    disable_key(key=made["resting"], by=SOMEBODY)
    revoke_key(key=made["gone"], by=SOMEBODY)
    with tenant_scope(tenant.id):
        ApiKey.objects.exclude(name="idle").update(last_used_at=now)
        ApiKey.objects.filter(name="soon").update(expires_at=now + 13 * DAY)
        ApiKey.objects.filter(name="over").update(expires_at=now - DAY)
        ApiKey.objects.filter(name="pepper").update(pepper_version=0, last_used_at=now - 91 * DAY)
    for status, expected in {
        "active": {"active", "soon", "idle", "pepper"},
        "expiring": {"soon"},
        "expired": {"over"},
        "disabled": {"resting"},
        "revoked": {"gone"},
        "never_used": {"idle"},
        "unused": {"pepper"},
        "rotation_due": {"pepper"},
    }.items():
        assert {key.name for key in admin_client.get(f"/keys?status={status}").context["page"]} == expected, status
    page = text(admin_client.get("/keys"))
    assert "1 key expires within 14 days" in page
    assert "Expires soon" in page


def test_the_list_asks_the_database_no_more_however_many_keys_there_are(admin_client, django_assert_max_num_queries):
    """Ten queries in all, those of the frame with them, for every view of the list."""
    tenant = admin_client.tenant
    for number in range(20):
        issue(tenant, f"key {number}")
    views = ("/keys", "/keys?q=key", "/keys?q=nothing", "/keys?status=active&env=dev", "/keys?sort=used")

    def asked(address: str) -> int:
        with django_assert_max_num_queries(10) as queries:
            assert admin_client.get(address).status_code == 200
        return len(queries)

    few = [asked(view) for view in views]
    add_keys(tenant, project_of(tenant), 1980, env="dev", publish=False)
    many = [asked(view) for view in views]
    assert many[0] <= few[0] + 1  # with more than a page, the keys are counted, up to 10,000
    assert [asked(view) for view in views] == many
    assert "50 of 2,000 keys" in text(admin_client.get("/keys"))


# -- issuing


def test_the_form_has_its_defaults(admin_client):
    form = admin_client.get("/keys/issue").context["form"]
    assert form["project"].value() == project_of(admin_client.tenant).pk
    assert form["env"].value() == "dev"
    create_project(tenant=admin_client.tenant, name="Support", by=SOMEBODY)
    assert admin_client.get("/keys/issue").context["form"]["project"].value() is None


def test_issuing_needs_the_passkey(admin_client):
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6)):
        answer = admin_client.post("/keys/issue", form_for(admin_client))
        assert answer.status_code == 403
        assert keys(admin_client) == []
        admin_client.step_up()
        assert admin_client.post("/keys/issue", form_for(admin_client)).status_code == 200
    assert len(keys(admin_client)) == 1


def test_the_new_key_is_shown_once_ready_to_paste(admin_client, settings):
    admin_client.step_up()
    answer = admin_client.post("/keys/issue", form_for(admin_client, env="prod"))
    page = unescape(answer.content.decode())
    found = {match.group() for match in PATTERN.finditer(page)}
    assert len(found) == 1
    parsed = parse_key(found.pop())
    (key,) = keys(admin_client)
    assert parsed is not None
    assert (parsed.env, parsed.public_id) == ("prod", key.id)
    gateway = settings.GATEWAY_URLS["prod"]
    assert f"curl -i {gateway}/v1/chat/completions" in page
    assert f'base_url="{gateway}/v1"' in page
    assert f'ANTHROPIC_BASE_URL="{gateway}"' in page
    assert '"model": "gpt-4o-mini"' in page
    assert page.count("data-copy=") == 5
    assert "built-in sandbox" in page
    assert "no-store" in answer.headers["Cache-Control"]


def test_the_new_key_is_in_no_session_no_address_and_no_later_page(admin_client, monkeypatch):
    kept = []
    encode = SessionBase.encode
    monkeypatch.setattr(SessionBase, "encode", lambda self, data: kept.append(repr(data)) or encode(self, data))
    admin_client.step_up()
    answer = admin_client.post("/keys/issue", form_for(admin_client))
    issued = PATTERN.search(unescape(answer.content.decode())).group()
    assert not answer.has_header("Location")
    for path in ("/keys/issue", "/keys", f"/keys/{parse_key(issued).public_id}"):
        assert issued not in admin_client.get(path).content.decode()
    assert issued not in repr(kept)
    assert issued not in repr(dict(admin_client.session))


def test_reloading_the_page_issues_no_second_key(admin_client):
    token = admin_client.get("/keys/issue").context["form"]["token"].value()
    admin_client.step_up()
    first = admin_client.post("/keys/issue", form_for(admin_client, token=token))
    again = admin_client.post("/keys/issue", form_for(admin_client, token=token), follow=True)
    (key,) = keys(admin_client)
    assert again.redirect_chain == [(f"/keys/{key.id}", 302)]
    assert "“Billing bot” was issued already" in text(again)
    shown = PATTERN.search(unescape(first.content.decode())).group()
    assert shown not in again.content.decode()
    other = admin_client.get("/keys/issue").context["form"]["token"].value()
    assert other != token
    admin_client.post("/keys/issue", form_for(admin_client, token=other))
    assert len(keys(admin_client)) == 2


def test_a_failure_after_issuing_logs_no_key(admin_client, monkeypatch):
    """A traceback shows where it happened, never the values of variables."""
    issued = []
    logged = StringIO()
    ours = [each for each in logging.getLogger().handlers if isinstance(each.formatter, ProcessorFormatter)]
    monkeypatch.setattr(ours[0], "stream", logged)

    def fail(key: str, base_url: str) -> None:
        issued.append(key)
        raise RuntimeError("cannot show it")

    monkeypatch.setattr("tenants.views.keys.snippets", fail)
    admin_client.raise_request_exception = False
    admin_client.step_up()
    assert admin_client.post("/keys/issue", form_for(admin_client)).status_code == 500
    assert "cannot show it" in logged.getvalue()
    assert not [start for start in range(20, 60) if issued[0][start : start + 8] in logged.getvalue()]


def test_policy_and_expiry_are_taken_from_the_form(admin_client):
    admin_client.step_up()
    zone_form = form_for(
        admin_client, expires_on="2031-05-06", allowed_models="gpt-4o*\n\n claude-*, o3", denied_models="gpt-4o-audio*"
    )
    assert admin_client.post("/keys/issue", zone_form).status_code == 200
    (key,) = keys(admin_client)
    assert key.expires_at == datetime(2031, 5, 6, 23, 59, 59, tzinfo=UTC)
    assert key.allowed_models == ["gpt-4o*", "claude-*", "o3"]
    assert key.denied_models == ["gpt-4o-audio*"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "Write a name."),
        ({"name": "a\u2028b"}, "write it on one line"),
        ({"name": "x" * 121}, "at most 120 characters"),
        ({"project": ""}, "Choose the project that this key's spend counts for."),
        ({"project": "p_nothing"}, "This project is not there any more"),
        ({"env": "staging"}, "Select a valid choice"),
        ({"expires_on": "soon"}, "Write a date like 2027-06-30."),
        ({"expires_on": "2020-01-01"}, "The expiry lies in the past"),
        ({"expires_on": "9999-12-31"}, "more than 50 years ahead"),
        ({"allowed_models": "gpt 4o"}, "cannot be a model's name"),
        ({"denied_models": "modèle"}, "cannot be a model's name"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_nothing_is_lost(admin_client, changes, said):
    admin_client.step_up()
    answer = admin_client.post("/keys/issue", form_for(admin_client, **changes))
    form = answer.context["form"]
    (field,) = form.errors
    assert field in changes
    assert said in " ".join(form.errors[field])
    assert said in text(answer)
    assert form["env"].value() == (changes.get("env") or "dev")
    assert keys(admin_client) == []


def test_a_project_of_another_tenant_is_no_choice(admin_client, their_key):
    admin_client.step_up()
    answer = admin_client.post("/keys/issue", form_for(admin_client, project=their_key.key.project_id))
    assert "This project is not there any more" in text(answer)


# -- one key


def test_a_keys_page_shows_its_policy(admin_client):
    key = issue(admin_client.tenant, "bot", allowed_models=["gpt-4o*"]).key
    page = text(admin_client.get(f"/keys/{key.id}"))
    for shown in (key.id, f"so_dev_{key.id}_…{key.last_four}", "gpt-4o*", "Active", "No expiry"):
        assert shown in page


@pytest.mark.parametrize("part", ["", "/disable", "/enable", "/revoke"])
def test_a_strangers_key_is_as_missing_as_none(admin_client, our_key, their_key, part):
    admin_client.step_up()
    ask = admin_client.post if part else admin_client.get
    same_request = {"accept": "text/html", "x-request-id": "the-same-for-both"}
    foreign, none = (
        ask(f"/keys/{key_id}{part}", {"name": "Foreign bot"} if part else None, headers=same_request)
        for key_id in (their_key.key.id, "0" * 12)
    )
    assert (foreign.status_code, foreign.content, foreign.headers.keys()) == (404, none.content, none.headers.keys())
    with tenant_scope(their_key.key.tenant_id):
        assert ApiKey.objects.get(pk=their_key.key.pk).status == ApiKey.Status.ACTIVE


def test_a_key_rests_and_works_again(admin_client, our_key):
    page = admin_client.post(f"/keys/{our_key.key.id}/disable", follow=True)
    assert "is disabled" in text(page)
    assert stored(admin_client, our_key.key).status == "disabled"
    admin_client.step_up()
    page = admin_client.post(f"/keys/{our_key.key.id}/enable", follow=True)
    assert "works again" in text(page)
    assert stored(admin_client, our_key.key).status == "active"
    event = AuditEvent.objects.latest("id")
    assert (event.kind, event.actor_id) == ("api_key.enabled", admin_client.user.pk)


def test_revoking_needs_the_passkey_and_the_name(admin_client, our_key):
    path = f"/keys/{our_key.key.id}/revoke"
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6)):
        assert admin_client.post(path, {"name": "Billing bot"}).status_code == 403
    admin_client.step_up()
    for typed in ("", "billing bot", "Billing"):
        answer = admin_client.post(path, {"name": typed})
        assert answer.context["form"].errors
        assert stored(admin_client, our_key.key).status == "active"
    assert "Type “Billing bot”" in text(answer)
    page = admin_client.post(path, {"name": " Billing bot "}, follow=True)
    assert "is revoked" in text(page)
    assert stored(admin_client, our_key.key).status == "revoked"


def test_a_revoked_key_offers_nothing_more(admin_client, our_key):
    revoke_key(key=our_key.key, by=SOMEBODY)
    page = admin_client.get(f"/keys/{our_key.key.id}").content.decode()
    assert "Revoked" in page
    for part in ("disable", "enable", "revoke"):
        assert f"/{part}" not in page
    admin_client.step_up()
    answer = admin_client.post(f"/keys/{our_key.key.id}/enable", follow=True)
    assert "revoked for ever" in text(answer)


def test_a_disabled_key_says_so(admin_client, our_key):
    disable_key(key=our_key.key, by=SOMEBODY)
    page = text(admin_client.get("/keys"))
    assert "Disabled" in page


def test_an_expired_key_says_so(admin_client):
    key = issue(admin_client.tenant, expires_at=datetime.now(UTC) + timedelta(minutes=1)).key
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2)):
        assert "Expired" in text(admin_client.get(f"/keys/{key.id}"))
