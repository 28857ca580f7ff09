"""The first admin: a link on the host, a passkey, and then nobody else by that way."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from access.models import EnrolmentLink, Passkey, User
from changes.actor import Actor
from changes.models import AuditEvent
from tenants import bootstrap
from tenants.actions.tenants import create_tenant
from tenants.models import Membership, Project, Tenant
from tenants.scope import tenant_scope
from tests.browsing import Person


def printed(*arguments: str) -> str:
    out = StringIO()
    call_command("bootstrap_admin", *arguments, stdout=out)
    return out.getvalue()


def link(*arguments: str) -> dict[str, str]:
    return json.loads(printed(*arguments, "--json"))


def token(*arguments: str) -> str:
    return link(*arguments)["url"].partition("#")[2]


def test_the_first_admin_and_the_first_tenant(db, settings, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    told = link("Asha@Example.com", "--name", "Asha", "--tenant", "Example Corp")
    assert told["url"].startswith(f"{settings.PUBLIC_URL}/enrol#")
    person = Person()
    assert person.enrol(told["url"].partition("#")[2]).status_code == 200
    user, tenant = User.objects.get(), Tenant.objects.get()
    assert (user.email, user.name) == ("asha@example.com", "Asha")
    assert (tenant.name, tenant.time_zone) == ("Example Corp", "Asia/Kolkata")
    with tenant_scope(tenant.id):
        assert Project.objects.count() == 1
    assert set(Membership.objects.values_list("role", "tenant")) == {
        ("platform_admin", None),
        ("tenant_admin", tenant.id),
    }
    kinds = set(AuditEvent.objects.values_list("kind", flat=True))
    assert {"user.created", "tenant.created", "membership.granted", "enrolment_link.issued"} <= kinds


def test_the_printed_link(db):
    lines = printed().splitlines()
    assert lines[0].startswith("Open this link once, until ")
    assert "/enrol#" in lines[1]
    assert User.objects.get().email == "admin@localhost"


def test_until_a_passkey_is_enrolled_a_new_link_ends_the_old_one(db):
    first, second = token(), token()
    assert Person().enrol(first).status_code == 404
    assert Person().enrol(second).status_code == 200
    assert (User.objects.count(), Tenant.objects.count()) == (1, 1)


def test_a_mistyped_address_can_be_put_right_before_the_first_sign_in(db):
    link("asah@example.com")
    link("asha@example.com")
    assert User.objects.get().email == "asha@example.com"


def test_once_there_is_an_admin_the_command_refuses(db):
    Person().enrol(token())
    with pytest.raises(CommandError, match=r"exists already.*--recover EMAIL"):
        printed()
    assert printed("--if-needed") == ""
    assert printed("--if-needed", "--json") == ""


def test_a_disabled_passkey_is_no_reason_for_a_new_first_admin(db):
    Person().enrol(token())
    Passkey.objects.update(confirmed=False)
    with pytest.raises(CommandError, match="exists already"):
        printed()


def test_if_needed_prints_the_link_while_it_is_needed(db):
    assert "/enrol#" in link("--if-needed")["url"]


def test_recovery_of_an_admin(db):
    Person().enrol(token("asha@example.com"))
    again = Person()
    assert again.enrol(token("--recover", "ASHA@example.com")).status_code == 200
    assert EnrolmentLink.objects.filter(purpose="recovery").count() == 1
    assert Passkey.objects.filter(user__email="asha@example.com").count() == 2


def test_only_a_platform_admin_is_recovered(db):
    Person().enrol(token("asha@example.com"))
    User.objects.create(email="other@example.com")
    for email in ("other@example.com", "nobody@example.com"):
        with pytest.raises(CommandError, match=f"No active platform admin has the e-mail address {email}"):
            printed("--recover", email)


def test_bad_input_changes_nothing(db):
    with pytest.raises(CommandError, match="'nonsense' is not an e-mail address"):
        printed("nonsense")
    with pytest.raises(CommandError, match="name"):
        printed("--tenant", " ")
    assert not User.objects.exists()
    assert not Tenant.objects.exists()


def test_an_address_that_is_somebody_elses_is_refused(db):
    User.objects.create(email="asha@example.com")
    with pytest.raises(CommandError, match="choose another"):
        printed("Asha@example.com")
    assert not Tenant.objects.exists()


@pytest.mark.parametrize(("zone", "found"), [("Europe/Berlin", "Europe/Berlin"), (":Asia/Kolkata", "Asia/Kolkata")])
def test_the_machines_time_zone(monkeypatch, zone, found):
    monkeypatch.setenv("TZ", zone)
    assert bootstrap.machine_time_zone() == found


def test_the_first_tenant_that_exists_is_joined(db):
    tenant = create_tenant(name="Example Corp", by=Actor.system("tests"))
    link()
    assert Membership.objects.get(role="tenant_admin").tenant == tenant
    assert Tenant.objects.count() == 1
