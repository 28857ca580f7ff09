"""Tenants and projects are suspended, resumed, archived and brought back; what is archived is not changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from access.actions import create_user
from access.models import User
from alerts.actions.channels import add_channel, ensure_default_channels, try_channel
from alerts.models import Channel
from budgets.actions import Settings, archive_budget, change_budget, create_budget
from changes.models import AuditEvent, OutboxRow
from tenants.actions.invitations import invite
from tenants.actions.keys import disable_key, enable_key, revoke_key, rotate_key
from tenants.actions.members import change_role, grant_membership, remove_member
from tenants.actions.projects import (
    archive_project,
    bring_back_project,
    change_project,
    create_project,
    resume_project,
    suspend_project,
)
from tenants.actions.tenants import (
    archive_tenant,
    bring_back_tenant,
    change_tenant,
    resume_tenant,
    set_quotas,
    suspend_tenant,
)
from tenants.actions.tokens import revoke_token
from tenants.errors import InvalidSettingError, RefusedError, StaleError, StatusError
from tenants.models import Invitation, Project, Tenant
from tenants.permissions import Role
from tenants.scope import tenant_scope
from tests.budgets.making import make_budget
from tests.tenants.making import SOMEBODY, issue, make_tenant, project_of, service_token, to_status

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant("Acme")


def make_user(email: str, name: str = "Somebody") -> User:
    return create_user(email=email, name=name, by=SOMEBODY)


def stored(tenant: Tenant) -> tuple[str, str]:
    return Tenant.objects.values_list("status", "status_reason").get(pk=tenant.pk)


def last_publish() -> tuple[str, str, bool]:
    return OutboxRow.objects.order_by("id").values_list("topic", "object_id", "urgent").last()


def test_a_tenant_goes_through_its_states(tenant):
    suspend_tenant(tenant=tenant, reason=" Invoice  unpaid. ", by=SOMEBODY)
    assert stored(tenant) == ("suspended", "Invoice unpaid.")
    assert last_publish() == ("tenant", tenant.id, True)  # it takes something away: before all else
    resume_tenant(tenant=tenant, by=SOMEBODY)
    assert stored(tenant) == ("active", "")
    assert last_publish() == ("tenant", tenant.id, False)
    suspend_tenant(tenant=tenant, reason="It leaves.", by=SOMEBODY)
    archive_tenant(tenant=tenant, reason="It has left.", by=SOMEBODY)
    assert stored(tenant) == ("archived", "It has left.")
    bring_back_tenant(tenant=tenant, by=SOMEBODY)
    assert stored(tenant)[0] == "suspended"  # nothing works by itself
    kinds = AuditEvent.objects.filter(target_id=tenant.id).order_by("id").values_list("kind", flat=True)
    assert list(kinds) == [
        "tenant.created",
        "tenant.suspended",
        "tenant.resumed",
        "tenant.suspended",
        "tenant.archived",
        "tenant.brought_back",
    ]


def test_what_does_not_follow_is_refused_with_what_to_do(tenant):
    with pytest.raises(StatusError, match="is active: suspend it first"):
        archive_tenant(tenant=tenant, reason="Gone.", by=SOMEBODY)
    with pytest.raises(StatusError, match="is not archived"):
        bring_back_tenant(tenant=tenant, by=SOMEBODY)
    to_status(tenant, "archived")
    with pytest.raises(StatusError, match="bring it back first"):
        resume_tenant(tenant=tenant, by=SOMEBODY)
    with pytest.raises(StatusError, match="refused already"):
        suspend_tenant(tenant=tenant, reason="Again.", by=SOMEBODY)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301, "turned \u202e around"])
def test_a_reason_is_needed_and_can_be_read(tenant, reason):
    with pytest.raises(InvalidSettingError) as refused:
        suspend_tenant(tenant=tenant, reason=reason, by=SOMEBODY)
    assert refused.value.field == "reason"
    assert stored(tenant) == ("active", "")


def test_doing_it_again_changes_nothing(tenant):
    to_status(tenant, "suspended")
    before = AuditEvent.objects.count()
    suspend_tenant(tenant=tenant, reason="Another reason.", by=SOMEBODY)
    assert stored(tenant) == ("suspended", "Tried.")
    assert AuditEvent.objects.count() == before


def test_a_suspended_tenant_can_be_set_right(tenant):
    to_status(tenant, "suspended")
    key = issue(tenant).key
    change_tenant(tenant=tenant, name="Acme Ltd", by=SOMEBODY)
    revoke_key(key=key, by=SOMEBODY)


def test_nothing_of_an_archived_tenant_is_changed_and_access_can_be_taken_away(tenant):
    key, disabled = issue(tenant, "bot").key, issue(tenant, "resting").key
    disable_key(key=disabled, by=SOMEBODY)
    token = service_token(tenant, "spend.view").token
    member, other = make_user("member@example.com"), make_user("other@example.com")
    grant_membership(tenant=tenant, user=member, role=Role.AUDITOR, by=SOMEBODY)
    budget = make_budget(tenant, now=None)
    ensure_default_channels(tenant)
    with tenant_scope(tenant.id):
        channel = Channel.objects.first()
    to_status(tenant, "archived")
    project = project_of(tenant)
    refused = {
        "issue": lambda: issue(tenant, "new"),
        "rotate": lambda: rotate_key(key=key, grace=timedelta(hours=1), by=SOMEBODY),
        "enable": lambda: enable_key(key=disabled, by=SOMEBODY),
        "settings": lambda: change_tenant(tenant=tenant, name="Other", by=SOMEBODY),
        "quotas": lambda: set_quotas(tenant=tenant, keys_most=1, projects_most=1, by=SOMEBODY),
        "project": lambda: create_project(tenant=tenant, name="New", by=SOMEBODY),
        "rename": lambda: change_project(project=project, name="New", by=SOMEBODY),
        "token": lambda: service_token(tenant, "spend.view"),
        "invite": lambda: invite(
            tenant=tenant, email="n@example.com", role=Role.AUDITOR, mail=Invitation.Mail.KEPT, by=SOMEBODY
        ),
        "member": lambda: grant_membership(tenant=tenant, user=other, role=Role.AUDITOR, by=SOMEBODY),
        "role": lambda: change_role(tenant=tenant, user=member, role=Role.DEVELOPER, by=SOMEBODY),
        "new budget": lambda: create_budget(tenant=tenant, wanted=Settings(name="New", amount="5"), by=SOMEBODY),
        "budget": lambda: change_budget(
            budget_id=budget.id, tenant_id=tenant.id, wanted=Settings(name="First", amount="5"), by=SOMEBODY
        ),
        "archive": lambda: archive_budget(budget_id=budget.id, tenant_id=tenant.id, by=SOMEBODY),
        "channel": lambda: add_channel(tenant=tenant, kind="email", name="New", target="a@example.com", by=SOMEBODY),
        "try": lambda: try_channel(channel_id=channel.id, tenant=tenant, by=SOMEBODY),
    }
    before = AuditEvent.objects.count()
    for what, work in refused.items():
        with pytest.raises(StatusError, match="is archived"):
            work()
        assert AuditEvent.objects.count() == before, what
    revoke_key(key=key, by=SOMEBODY)
    revoke_token(token=token, by=SOMEBODY)
    suspend_project(project=project, reason="For good.", by=SOMEBODY)
    remove_member(tenant=tenant, user=member, by=SOMEBODY)


def publishes(*ids: str) -> set[tuple[str, bool]]:
    """What the newest change of these had published: topics, and whether that was urgent."""
    newest = OutboxRow.objects.filter(object_id__in=ids).latest("audit_event_id").audit_event_id
    return set(OutboxRow.objects.filter(audit_event_id=newest).values_list("topic", "urgent"))


def test_a_project_goes_through_its_states(tenant):
    project = project_of(tenant)
    suspend_project(project=project, reason="Runaway script.", by=SOMEBODY)
    assert publishes(tenant.id, project.id) == {("tenant", True), ("project", False)}
    with pytest.raises(StatusError, match="is not archived"):
        bring_back_project(project=create_project(tenant=tenant, name="Active", by=SOMEBODY), by=SOMEBODY)
    resume_project(project=project, by=SOMEBODY)
    assert publishes(tenant.id, project.id) == {("tenant", False), ("project", False)}
    archive_project(project=project, reason="It is over.", by=SOMEBODY)
    with pytest.raises(StatusError, match="bring it back first"):
        resume_project(project=project, by=SOMEBODY)
    with pytest.raises(StatusError, match="cannot be changed: bring it back first"):
        change_project(project=project, name="New", by=SOMEBODY)
    bring_back_project(project=project, by=SOMEBODY)
    with tenant_scope(tenant.id):
        found = Project.objects.get(pk=project.pk)
    assert (found.status, found.status_reason) == ("suspended", "Brought back.")


def test_of_two_edits_of_a_tenant_the_second_is_told_who_was_first(tenant):
    who = make_user("asha@example.com", name="Asha Rao")
    seen = tenant.version
    change_tenant(tenant=tenant, name="Acme Ltd", version=seen, by=replace(SOMEBODY, id=who.pk))
    with pytest.raises(StaleError, match=r"was changed by Asha Rao \(name\) after you opened it"):
        change_tenant(tenant=tenant, name="Acme GmbH", version=seen, by=SOMEBODY)
    now = Tenant.objects.get(pk=tenant.pk)
    assert now.name == "Acme Ltd"
    change_tenant(tenant=tenant, name="Acme GmbH", version=now.version, by=SOMEBODY)


def test_of_two_edits_of_a_project_the_second_is_told(tenant):
    project = project_of(tenant)
    change_project(project=project, tags={"team": "search"}, version=project.version, by=SOMEBODY)
    with pytest.raises(StaleError):
        change_project(project=project, tags={"team": "ads"}, version=project.version, by=SOMEBODY)
    assert project_of(tenant).tags == {"team": "search"}


def test_billing_day_and_tags_are_kept_and_checked(tenant):
    change_tenant(tenant=tenant, billing_day=28, tags={" region ": " emea "}, by=SOMEBODY)
    found = Tenant.objects.get(pk=tenant.pk)
    assert (found.billing_day, found.tags, found.time_zone) == (28, {"region": "emea"}, "UTC")
    for wrong in (
        {"billing_day": 29},
        {"billing_day": 0},
        {"tags": {"": "x"}},
        {"tags": {"a=b": "x"}},
        {"tags": {"a": ""}},
        {"tags": {"a": "x" * 257}},
        {"tags": {f"t{number}": "x" for number in range(17)}},
    ):
        with pytest.raises(RefusedError):
            change_tenant(tenant=tenant, **wrong, by=SOMEBODY)
    assert Tenant.objects.get(pk=tenant.pk).tags == {"region": "emea"}
    event = AuditEvent.objects.latest("id")
    assert event.before == {"billing_day": 1, "tags": {}}
