"""Invitations: bound to tenant, role and address; accepted once, by somebody new or somebody known."""

from __future__ import annotations

import re
import smtplib
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import mail as outbox

from access.models import Passkey, User
from changes.models import AuditEvent
from tenants.models import Invitation, Membership, Tenant
from tenants.permissions import Role
from tenants.scope import across_tenants
from tests.authenticator import Authenticator
from tests.browsing import Person
from tests.tenants.making import make_tenant
from tests.tenants.test_key_pages import text

MAIL = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def with_mail(settings):
    """A mail server that takes everything."""
    settings.EMAIL_BACKEND, settings.MAIL_TO_OUTBOX = MAIL, False


def invite(admin: Person, email: str = "ravi@example.com", role: Role = Role.FINANCE_VIEWER) -> str:
    """Invite through the page; the link's token, which the page shows as no mail server is set up."""
    answer = admin.post("/members", {"email": email, "role": role.value})
    assert answer.status_code == 200, answer
    found = re.search(r'/join#([\w-]+)"', answer.content.decode())
    assert found, text(answer)
    return found[1]


def join(browser: Person, token: str, **body: Any):
    asked = {"token": token, "person": "Ravi", "name": "Phone"} | body
    begun = browser.send("/join/begin", asked)
    if begun.status_code != 200:
        return begun
    credential = browser.authenticator.create(begun.json()["options"])
    return browser.send("/join/finish", asked | {"credential": credential})


def look(person: Person, token: str):
    return person.send("/join/look", {"token": token})


def invitations() -> list[Invitation]:
    with across_tenants("the test looks at all of them"):
        return list(Invitation.objects.order_by("created_at"))


def roles(email: str = "ravi@example.com") -> set[tuple[str, str]]:
    return set(Membership.objects.filter(user__email=email).values_list("tenant__name", "role"))


def test_somebody_new_joins(admin_client):
    token = invite(admin_client, " Ravi@Example.com ")
    new = Person()
    looked = look(new, token).json()
    told = {name: looked[name] for name in ("state", "email", "tenant", "role", "inviter")}
    assert told == {
        "state": "new",
        "email": "ravi@example.com",
        "tenant": "Default",
        "role": "finance viewer",
        "inviter": "Asha",
    }
    answer = join(new, token)
    assert answer.status_code == 200, answer.content
    assert answer.json()["next"] == "/recovery-codes"
    assert new.get("/session").json()["signed_in"]
    ravi = User.objects.get(email="ravi@example.com")
    assert (ravi.name, bytes(ravi.handle)) == ("Ravi", new.authenticator.handle)
    assert roles() == {("Default", "finance_viewer")}
    assert [each.status for each in invitations()] == [Invitation.Status.ACCEPTED]
    kinds = set(AuditEvent.objects.filter(request_id=AuditEvent.objects.latest("id").request_id).values_list("kind"))
    assert {("invitation.accepted",), ("user.created",), ("passkey.enrolled",), ("membership.granted",)} <= kinds
    assert AuditEvent.objects.get(kind="invitation.accepted").tenant_id == admin_client.tenant.id


def test_what_is_joined_is_what_is_looked_at(admin_client):
    other = make_tenant("Other")
    admin_client.post(f"/tenants/{other.id}/switch")
    token = invite(admin_client, role=Role.TENANT_ADMIN)
    new = Person()
    join(new, token)
    assert "“Other”" in text(new.get("/members"))


def test_only_the_hash_of_a_token_is_kept(admin_client):
    token = invite(admin_client)
    with across_tenants("the test looks at everything"):
        kept = str(list(Invitation.objects.values())) + str(list(AuditEvent.objects.values()))
    assert token not in kept
    letters = admin_client.get("/members/letters").content.decode()
    assert "Join Default on SpendOps" in letters
    assert "/join#…" in letters
    assert token not in letters
    assert token not in admin_client.get("/members").content.decode()


def test_the_message_goes_out_and_the_link_is_not_shown(admin_client, with_mail):
    page = admin_client.post("/members", {"email": "ravi@example.com", "role": "auditor"}, follow=True)
    assert "The invitation is on its way to ravi@example.com." in text(page)
    assert "/join#" not in page.content.decode()
    (message,) = outbox.outbox
    assert (message.to, message.subject) == (["ravi@example.com"], "Join Default on SpendOps")
    assert "Asha (asha@example.com) invites you" in message.body
    token = re.search(rf"^{re.escape(django_settings.PUBLIC_URL)}/join#([\w-]+)$", message.body, re.MULTILINE)[1]
    assert join(Person(), token).status_code == 200
    assert invitations()[0].mail == Invitation.Mail.SENT


def test_a_message_that_is_not_taken_is_said_and_the_link_shown(admin_client, with_mail, monkeypatch):
    def refuse(self, messages):
        raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")

    monkeypatch.setattr(f"{MAIL}.send_messages", refuse)
    page = admin_client.post("/members", {"email": "ravi@example.com", "role": "auditor"})
    assert "The message did not go out. The mail server cannot be reached" in text(page)
    assert join(Person(), re.search(r'/join#([\w-]+)"', page.content.decode())[1]).status_code == 200
    assert invitations()[0].mail == Invitation.Mail.FAILED


def test_a_person_of_another_tenant_joins_with_a_click(admin_client, newcomer):
    ravi = newcomer()
    ravi.enrol(ravi.token)
    Membership.objects.create(user=ravi.user, tenant=make_tenant("First"), role=Role.DEVELOPER)
    token = invite(admin_client, role=Role.AUDITOR)
    assert look(Person(), token).json()["state"] == "known"
    assert look(ravi, token).json()["state"] == "accept"
    before = ravi.cookies[django_settings.SESSION_COOKIE_NAME].value
    answer = ravi.send("/join/accept", {"token": token})
    assert (answer.status_code, answer.json()["next"]) == (200, django_settings.LOGIN_REDIRECT_URL)
    assert roles() == {("First", "developer"), ("Default", "auditor")}
    assert ravi.cookies[django_settings.SESSION_COOKIE_NAME].value != before, "more rights, another session id"
    assert "“Default”" in text(ravi.get("/members"))


def test_nobody_else_accepts(admin_client, newcomer):
    token = invite(admin_client)
    other = newcomer("other@example.com")
    other.enrol(other.token)
    assert look(other, token).json()["state"] == "other"
    assert other.send("/join/accept", {"token": token}).status_code == 404
    assert Person().send("/join/accept", {"token": token}).status_code == 404
    assert roles("other@example.com") == set()
    assert join(Person(), token).status_code == 200, "it is not used up by the attempt"


def test_a_link_never_adds_a_passkey_to_an_account_that_exists(admin_client, newcomer):
    """Whoever invites sees the link: it must not be a way into somebody's account."""
    begun, token = Person(), invite(admin_client)
    body = {"token": token, "person": "Ravi", "name": "Phone"}
    options = begun.send("/join/begin", body).json()["options"]
    ravi = newcomer()
    assert Person().send("/join/begin", body).status_code == 404
    credential = begun.authenticator.create(options)
    assert begun.send("/join/finish", body | {"credential": credential}).status_code == 404
    assert not Passkey.objects.filter(user=ravi.user).exists()
    assert invitations()[0].status == Invitation.Status.WAITING


def test_a_link_works_once_and_until_it_expires(admin_client, time_machine):
    time_machine.move_to("2036-11-21T10:00:00Z", tick=False)
    admin_client.sign_in()
    used, late = invite(admin_client), invite(admin_client, "late@example.com")
    assert join(Person(), used).status_code == 200
    assert join(Person(Authenticator()), used).status_code == 404
    time_machine.shift(72 * 3600 - 1)
    assert look(Person(), late).status_code == 200
    time_machine.shift(1)
    assert look(Person(), late).status_code == 404
    assert [each.status for each in invitations()] == [Invitation.Status.ACCEPTED, Invitation.Status.EXPIRED]


def test_a_revoked_invitation_is_dead(admin_client):
    token = invite(admin_client)
    page = admin_client.post(f"/invitations/{invitations()[0].id}/revoke", follow=True)
    assert "The invitation of ravi@example.com is revoked" in text(page)
    assert join(Person(), token).status_code == 404
    assert AuditEvent.objects.filter(kind="invitation.revoked").count() == 1


def test_an_accepted_invitation_cannot_be_revoked(admin_client):
    join(Person(), invite(admin_client))
    page = admin_client.post(f"/invitations/{invitations()[0].id}/revoke", follow=True)
    assert "has accepted already" in text(page)
    assert invitations()[0].status == Invitation.Status.ACCEPTED


def test_inviting_again_ends_the_link_before(admin_client):
    first, second = invite(admin_client), invite(admin_client, role=Role.AUDITOR)
    assert look(Person(), first).status_code == 404
    assert look(Person(), second).json()["role"] == "auditor"


@pytest.mark.parametrize("change", ["demoted", "removed", "deactivated"])
def test_the_role_is_checked_again_on_acceptance(admin_client, change):
    token = invite(admin_client)
    body = {"token": token, "person": "Ravi", "name": "Phone"}
    new = Person()
    credential = new.authenticator.create(new.send("/join/begin", body).json()["options"])
    if change == "deactivated":
        User.objects.update(is_active=False)
    else:
        Membership.objects.filter(tenant=None).delete()
        own = Membership.objects.filter(tenant=admin_client.tenant)
        own.update(role=Role.AUDITOR) if change == "demoted" else own.delete()
    assert new.send("/join/finish", body | {"credential": credential}).status_code == 404
    assert not User.objects.filter(email="ravi@example.com").exists()


def test_links_that_do_not_work_get_one_answer(admin_client):
    token = invite(admin_client)
    with across_tenants("the test changes it"):
        Invitation.objects.update(expires_at="2020-01-01T00:00:00Z")
    answers = [look(Person(), each) for each in (token, "A" * 43, "", ["x"])]
    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}


def test_a_ceremony_for_one_invitation_cannot_serve_another(admin_client):
    first, second = invite(admin_client, "a@example.com"), invite(admin_client, "b@example.com")
    new = Person()
    body = {"token": first, "person": "A", "name": "Phone"}
    credential = new.authenticator.create(new.send("/join/begin", body).json()["options"])
    answer = new.send("/join/finish", body | {"token": second, "credential": credential})
    assert (answer.status_code, answer.json()["code"]) == (400, "ceremony_refused")


@pytest.mark.parametrize(
    ("email", "role", "said"),
    [
        ("", "auditor", "Write an e-mail address."),
        ("asha", "auditor", "Write an address like asha@example.com."),
        ("new@example.com", "platform_admin", "platform_admin is not one of the available choices"),
        ("Asha@example.com", "auditor", "is a member already"),
    ],
)
def test_what_cannot_be_invited_is_said(admin_client, email, role, said):
    answer = admin_client.post("/members", {"email": email, "role": role})
    assert said in text(answer)
    assert not invitations()


@pytest.mark.parametrize("name", ["", "  ", "x" * 121, "a\nb", None])
def test_a_new_person_needs_a_name(admin_client, name):
    answer = join(Person(), invite(admin_client), person=name)
    assert (answer.status_code, answer.json()["detail"][:15]) == (422, "Write your name")


def test_nobody_joins_an_archived_tenant(admin_client):
    token = invite(admin_client)
    Tenant.objects.update(status=Tenant.Status.ARCHIVED)
    assert join(Person(), token).status_code == 404


def test_somebody_elses_invitation_does_not_exist(admin_client):
    invite(admin_client)
    other = make_tenant("Other")
    admin_client.post(f"/tenants/{other.id}/switch")
    assert admin_client.post(f"/invitations/{invitations()[0].id}/revoke").status_code == 404
    assert admin_client.post("/invitations/i_nothing/revoke").status_code == 404
    assert invitations()[0].status == Invitation.Status.WAITING
