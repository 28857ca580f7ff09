"""Commands about keys: what they may do is given by option, changed, cleared; unknown words are refused."""

from __future__ import annotations

import pytest
from django.core.management import CommandError

from tenants.models import ApiKey
from tenants.scope import across_tenants
from tests.tenants.making import issue, make_tenant
from tests.tenants.test_commands import run, run_json

pytestmark = pytest.mark.django_db

ALL = [
    *("--allow", "gpt-4o*", "--deny", "o3", "--allow-provider", "openai", "--deny-provider", "azure*"),
    *("--network", "192.0.2.7", "--network", "2001:db8::/48", "--tag", "team=search", "--tier", "bulk"),
    *("--rpm", "60", "--tpm", "9000", "--concurrency", "2"),
    *("--not-before", "2031-01-01T00:00+00:00", "--expires-at", "2031-05-06T18:00+02:00"),
]


def stored(key_id: str) -> ApiKey:
    with across_tenants("a test looks"):
        return ApiKey.objects.get(pk=key_id)


def test_a_key_is_issued_with_all_that_it_may_do():
    make_tenant("Acme")
    key = stored(run_json("issue_key", "--tenant", "Acme", "--name", "bot", *ALL)["id"])
    assert (key.allowed_models, key.denied_models) == (["gpt-4o*"], ["o3"])
    assert (key.allowed_providers, key.denied_providers) == (["openai"], ["azure*"])
    assert key.networks == ["192.0.2.7/32", "2001:db8::/48"]
    assert (key.tier, key.rpm, key.tpm, key.concurrency) == ("bulk", 60, 9000, 2)
    assert key.tags == {"team": "search"}
    assert key.expires_at.isoformat() == "2031-05-06T16:00:00+00:00"


def test_a_key_is_changed_and_parts_are_cleared():
    key = issue(make_tenant(), "bot", rpm=60, tags={"a": "b"}).key
    told = run_json("change_key", key.pk, "--tpm", "5", "--clear", "tags", "--clear", "rpm", "--name", "other")
    assert (told["tpm"], told["rpm"], told["tags"], told["name"], told["version"]) == (5, 0, {}, "other", 2)
    assert "is as it was" in run("change_key", key.pk, "--tpm", "5")
    assert "is changed" in run("change_key", key.pk, *ALL)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Say what to change"),
        (("--rpm", "5", "--clear", "rpm"), "given and cleared"),
        (("--clear", "name"), "invalid choice"),
        (("--tier", "gold"), "invalid choice"),
        (("--network", "10.1.2.3/8"), "write 10.0.0.0/8"),
        (("--tag", "search"), "is no tag"),
        (("--owner", "nobody@example.com"), "has no member with the address"),
        (("--expires-at", "soon"), "is not a moment"),
        (("--allow-provider", ""), "needs the name of a provider"),
        (("--project", "Nowhere"), "has no project"),
    ],
)
def test_what_cannot_be_is_an_error(arguments, said):
    key = issue(make_tenant()).key
    with pytest.raises(CommandError, match=said):
        run("change_key", key.pk, *arguments)
    assert stored(key.pk).version == 1


def test_a_key_rests_and_works_again():
    key = issue(make_tenant()).key
    assert run_json("disable_key", key.pk)["status"] == "disabled"
    assert run_json("enable_key", key.pk)["status"] == "active"
    for command in ("disable_key", "enable_key", "change_key", "rotate_key", "revoke_key"):
        with pytest.raises(CommandError, match="There is no key with the id"):
            run(command, "nothing")


def test_the_list_is_narrowed_and_refuses_an_unknown_environment():
    tenant = make_tenant("Acme")
    issue(tenant, "billing"), issue(tenant, "other", env="prod")
    assert [key["name"] for key in run_json("list_keys", "--tenant", "Acme", "--env", "prod")] == ["other"]
    assert [key["name"] for key in run_json("list_keys", "--tenant", "Acme", "--search", "bill")] == ["billing"]
    assert run_json("list_keys", "--tenant", "Acme", "--status", "expired") == []
    for option in ("--env", "--status"):
        with pytest.raises(CommandError, match="invalid choice"):
            run("list_keys", "--tenant", "Acme", option, "nowhere")
