"""The pages of service tokens."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from changes.models import AuditEvent
from tenants.models import ServiceToken
from tenants.scope import across_tenants
from tenants.tokens import parse_token
from tests.tenants.making import make_tenant, service_token

pytestmark = pytest.mark.django_db


def day(days: int) -> str:
    return f"{timezone.now() + timedelta(days=days):%Y-%m-%d}"


def form(**changed):
    return {
        "name": "Nightly report",
        "reach": "tenant",
        "scopes": ["spend.view", "keys.revoke"],
        "expires_on": day(30),
        "token": "intention-0001",
    } | changed


def tokens() -> list[ServiceToken]:
    with across_tenants("a look at what was written"):
        return list(ServiceToken.objects.order_by("created_at"))


def test_an_empty_list_says_what_to_do(admin_client):
    page = admin_client.get("/tokens").content.decode()
    assert "No service tokens yet" in page
    assert "/tokens/issue" in page


def test_a_token_is_shown_once_and_works(admin_client):
    admin_client.step_up()
    issued = admin_client.post("/tokens/issue", form())
    text = issued.context["text"]
    assert issued.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in issued.headers["Cache-Control"]
    assert text in issued.content.decode()
    (token,) = tokens()
    assert parse_token(text) == token.id
    assert token.tenant_id == admin_client.tenant.id
    assert (set(token.scopes), token.confirmed_scopes) == ({"spend.view", "keys.revoke"}, ["keys.revoke"])
    assert timedelta(days=29) < token.expires_at - timezone.now() < timedelta(days=32)
    again = admin_client.post("/tokens/issue", form())
    assert again.url == "/tokens"
    assert len(tokens()) == 1
    listed = admin_client.get("/tokens").content.decode()
    assert "was issued already" in listed
    assert text not in listed
    assert token.last_four in listed


def test_a_stale_step_up_issues_nothing(admin_client, settings):
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.STEP_UP_SECONDS + 5)):
        assert admin_client.post("/tokens/issue", form()).status_code == 403
    assert tokens() == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": ""}, "Write a name."),
        ({"scopes": []}, "Choose at least one scope."),
        ({"scopes": ["fly"]}, "not one of the available choices"),
        ({"scopes": ["tenants.create"]}, "not one of the available choices"),
        ({"expires_on": ""}, "every token ends"),
        ({"expires_on": "soon"}, "Write a date like"),
        ({"expires_on": "2020-01-01"}, "lies in the past"),
        ({"expires_on": day(400)}, "at most a year"),
    ],
)
def test_what_cannot_be_issued_is_said_and_nothing_typed_is_lost(admin_client, changed, said):
    from tenants.models import Membership

    Membership.objects.filter(user=admin_client.user, tenant=None).delete()
    page = admin_client.post("/tokens/issue", form(**changed))
    assert page.status_code == 200
    assert said in page.content.decode()
    assert tokens() == []
    if "name" not in changed:
        assert "Nightly report" in page.content.decode()


def test_a_token_of_every_tenant_has_a_platform_admin_s_scopes_at_most(admin_client):
    refused = admin_client.post("/tokens/issue", form(reach="platform", scopes=["keys.issue"]))
    assert "You cannot grant what you may not do yourself" in refused.content.decode()
    assert admin_client.post("/tokens/issue", form(reach="platform", scopes=["audit.view"])).status_code == 200
    (token,) = tokens()
    assert token.tenant_id is None
    page = admin_client.get("/tokens").content.decode()
    assert "For every tenant" in page
    assert admin_client.post(f"/tokens/{token.id}/revoke").url == "/tokens"
    assert tokens()[0].revoked_at is not None


def test_only_a_platform_admin_sees_and_ends_those_of_every_tenant(admin_client):
    from tenants.models import Membership

    token = service_token(None, "audit.view").token
    Membership.objects.filter(user=admin_client.user, tenant=None).delete()
    assert "For every tenant" not in admin_client.get("/tokens").content.decode()
    assert admin_client.post(f"/tokens/{token.id}/revoke").status_code == 404
    assert "reach" not in admin_client.get("/tokens/issue").context["form"].fields


def test_a_token_is_revoked_by_its_tenant_only(admin_client):
    ours = service_token(admin_client.tenant).token
    theirs = service_token(make_tenant("Other")).token
    assert admin_client.post(f"/tokens/{theirs.id}/revoke").status_code == 404
    done = admin_client.post(f"/tokens/{ours.id}/revoke", follow=True)
    assert "is revoked: the API refuses it from now on." in done.content.decode()
    assert {token.id: token.status for token in tokens()} == {ours.id: "revoked", theirs.id: "active"}
    assert AuditEvent.objects.filter(kind="service_token.revoked").count() == 1
