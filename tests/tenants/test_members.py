"""Members: listed, given another role, removed; never the last tenant admin."""

from __future__ import annotations

import re

import pytest
from django.conf import settings

from access.models import Passkey, User
from changes.models import AuditEvent
from tenants.models import Membership
from tenants.permissions import Role
from tests.browsing import Person
from tests.tenants.making import make_tenant
from tests.tenants.test_invitations import invite, join
from tests.tenants.test_key_pages import text


@pytest.fixture
def ravi(admin_client) -> Person:
    """A second member, a finance viewer, at a browser of his own."""
    person = Person()
    assert join(person, invite(admin_client)).status_code == 200
    person.user = User.objects.get(email="ravi@example.com")
    return person


def role_of(person: Person, tenant) -> list[str]:
    return list(Membership.objects.filter(user=person.user, tenant=tenant).values_list("role", flat=True))


def test_members_are_listed_with_their_roles(admin_client, ravi):
    page = text(admin_client.get("/members"))
    assert "2 members" in page
    assert "ravi@example.com" in page
    assert "Finance viewer" in page
    assert "No invitation waits for an answer." in page


def test_a_role_is_changed_from_the_next_request_on(admin_client, ravi):
    assert ravi.get("/members").status_code == 403
    page = admin_client.post(f"/members/{ravi.user.pk}/role", {"role": "auditor"}, follow=True)
    assert "The role of Ravi is changed." in text(page)
    assert role_of(ravi, admin_client.tenant) == ["auditor"]
    assert ravi.get("/members").status_code == 200
    event = AuditEvent.objects.get(kind="membership.changed")
    assert (event.before, event.after) == ({"role": "finance_viewer"}, {"role": "auditor"})
    assert (event.tenant_id, event.actor_id) == (admin_client.tenant.id, admin_client.user.pk)


def test_a_member_is_removed(admin_client, ravi):
    page = admin_client.post(f"/members/{ravi.user.pk}/remove", follow=True)
    assert "Ravi is no longer a member of “Default”" in text(page)
    assert role_of(ravi, admin_client.tenant) == []
    assert "You belong to no tenant" in text(ravi.get("/members"))
    assert AuditEvent.objects.get(kind="membership.revoked").before == {"role": "finance_viewer"}


@pytest.mark.parametrize(("verb", "body"), [("remove", {}), ("role", {"role": "auditor"})])
def test_the_last_tenant_admin_stays(admin_client, ravi, verb, body):
    page = admin_client.post(f"/members/{admin_client.user.pk}/{verb}", body, follow=True)
    assert "Asha is the last tenant admin. Make somebody else an admin first." in text(page)
    assert role_of(admin_client, admin_client.tenant) == ["tenant_admin"]
    admin_client.post(f"/members/{ravi.user.pk}/role", {"role": "tenant_admin"})
    admin_client.post(f"/members/{admin_client.user.pk}/{verb}", body)
    assert role_of(admin_client, admin_client.tenant) == ([] if verb == "remove" else ["auditor"])


def test_a_deactivated_admin_is_no_other_admin(admin_client, ravi):
    admin_client.post(f"/members/{ravi.user.pk}/role", {"role": "tenant_admin"})
    User.objects.filter(pk=ravi.user.pk).update(is_active=False)
    page = admin_client.post(f"/members/{admin_client.user.pk}/remove", follow=True)
    assert "is the last tenant admin" in text(page)


@pytest.mark.parametrize("role", ["", "platform_admin", "owner"])
def test_a_role_that_cannot_be_is_refused(admin_client, ravi, role):
    page = admin_client.post(f"/members/{ravi.user.pk}/role", {"role": role}, follow=True)
    assert "Choose one of the roles." in text(page)
    assert role_of(ravi, admin_client.tenant) == ["finance_viewer"]


@pytest.mark.parametrize("verb", ["role", "remove", "link"])
def test_whoever_is_no_member_here_does_not_exist(admin_client, newcomer, verb):
    stranger = newcomer("other@example.com")
    Membership.objects.create(user=stranger.user, tenant=make_tenant("Other"), role=Role.AUDITOR)
    for user_id in (stranger.user.pk, "u_nothing"):
        assert admin_client.post(f"/members/{user_id}/{verb}", {"role": "auditor"}).status_code == 404
    assert Membership.objects.get(user=stranger.user).role == Role.AUDITOR


def test_a_member_who_lost_every_passkey_gets_a_link(admin_client, ravi):
    page = admin_client.post(f"/members/{ravi.user.pk}/link")
    assert "no-store" in page.headers["Cache-Control"]
    token = re.search(r'/enrol#([\w-]+)"', page.content.decode())[1]
    again = Person()
    assert again.enrol(token, "New phone").status_code == 200
    assert not ravi.get("/session").json()["signed_in"]
    assert Passkey.objects.filter(user=ravi.user).count() == 2


@pytest.mark.parametrize("elsewhere", ["another_tenant", "the_installation"])
def test_no_link_is_made_for_who_is_somebody_elsewhere_too(admin_client, ravi, elsewhere):
    """One tenant's admin must not get into another tenant."""
    tenant, role = (make_tenant("Other"), Role.AUDITOR) if elsewhere == "another_tenant" else (None, "platform_admin")
    Membership.objects.create(user=ravi.user, tenant=tenant, role=role)
    page = admin_client.post(f"/members/{ravi.user.pk}/link", follow=True)
    assert "has a role outside this tenant, too" in text(page)
    assert "/enrol#" not in page.content.decode()
    assert "Make a link for a lost passkey" not in page.content.decode()


@pytest.mark.parametrize("path", ["/members", "/members/{}/role", "/members/{}/remove", "/members/{}/link"])
def test_changes_need_a_fresh_confirmation(admin_client, ravi, path, time_machine):
    time_machine.move_to("2036-11-21T10:00:00Z", tick=False)
    admin_client.sign_in()
    time_machine.shift(settings.STEP_UP_SECONDS + 1)
    before = AuditEvent.objects.count()
    body = {"role": "auditor", "email": "new@example.com"}
    answer = admin_client.post(path.format(ravi.user.pk), body, headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")
    assert AuditEvent.objects.count() == before


def test_an_auditor_sees_members_and_changes_nothing(admin_client, ravi):
    admin_client.post(f"/members/{ravi.user.pk}/role", {"role": "auditor"})
    page = ravi.get("/members").content.decode()
    assert "Asha" in page
    assert "Invite somebody" not in page
    assert "data-step-up" not in page
    for path in ("/members", f"/members/{admin_client.user.pk}/remove"):
        assert ravi.post(path, {"email": "x@example.com", "role": "auditor"}).status_code == 403
    assert role_of(admin_client, admin_client.tenant) == ["tenant_admin"]


def test_a_tenant_without_members_says_so(admin_client):
    other = make_tenant("Other")
    admin_client.post(f"/tenants/{other.id}/switch")
    assert "Nobody is a member yet" in text(admin_client.get("/members"))
