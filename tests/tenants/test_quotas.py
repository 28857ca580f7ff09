"""Quotas of keys and projects: counted with the change itself, exact when two come at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from changes.models import AuditEvent, OutboxRow
from tenants.actions.keys import disable_key, issue_key, revoke_key, rotate_key
from tenants.actions.projects import archive_project, bring_back_project, change_project, create_project
from tenants.actions.quotas import give_back, take_key
from tenants.actions.tenants import set_quotas
from tenants.errors import InvalidSettingError, QuotaError, StatusError
from tenants.models import ApiKey, Project, Tenant
from tenants.scope import tenant_scope
from tests.tenants.making import SOMEBODY, issue, make_tenant, project_of, to_status

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant("Acme")


def living(tenant: Tenant) -> tuple[int, int, int]:
    """What is counted of the tenant and of its project, and how many keys there really are."""
    with tenant_scope(tenant.id):
        really = ApiKey.objects.exclude(status=ApiKey.Status.REVOKED).count()
    return Tenant.objects.get(pk=tenant.pk).keys_living, project_of(tenant).keys_living, really


def test_living_keys_are_counted_through_their_whole_life(tenant):
    first, second = issue(tenant, "first").key, issue(tenant, "second").key
    assert living(tenant) == (2, 2, 2)
    rotate_key(key=first, grace=timedelta(hours=1), by=SOMEBODY)
    assert living(tenant) == (3, 3, 3)  # the old one lives until it is revoked
    disable_key(key=second, by=SOMEBODY)
    assert living(tenant) == (3, 3, 3)
    for _ in range(2):  # revoking again gives nothing back twice
        revoke_key(key=second, by=SOMEBODY)
    assert living(tenant) == (2, 2, 2)


def test_a_tenants_quota_says_how_many_and_whom_to_ask(tenant):
    set_quotas(tenant=tenant, keys_most=2, projects_most=None, by=SOMEBODY)
    key = issue(tenant, "first").key
    issue(tenant, "second")
    events, rows = AuditEvent.objects.count(), OutboxRow.objects.count()
    with pytest.raises(QuotaError, match=r"“Acme” has 2 living keys, and its quota is 2\..*platform"):
        issue(tenant, "third")
    with pytest.raises(QuotaError):
        rotate_key(key=key, grace=timedelta(hours=1), by=SOMEBODY)
    assert living(tenant) == (2, 2, 2)
    assert (AuditEvent.objects.count(), OutboxRow.objects.count()) == (events, rows)
    revoke_key(key=key, by=SOMEBODY)
    issue(tenant, "third")
    assert living(tenant) == (2, 2, 2)


def test_a_projects_quota_is_its_own(tenant):
    change_project(project=project_of(tenant), keys_most=1, by=SOMEBODY)
    issue(tenant, "first")
    with pytest.raises(QuotaError, match="project “Default” has 1 living key, and"):
        issue(tenant, "second")
    other = create_project(tenant=tenant, name="Other", by=SOMEBODY)
    issue_key(tenant=tenant, project=other, name="second", env="dev", by=SOMEBODY)
    assert Tenant.objects.get(pk=tenant.pk).keys_living == 2


def test_several_at_once_fit_whole_or_not_at_all(tenant):
    set_quotas(tenant=tenant, keys_most=5, projects_most=None, by=SOMEBODY)
    project = project_of(tenant)
    with pytest.raises(QuotaError, match="6 more do not fit"), transaction.atomic():
        take_key(tenant.id, project.id, 6)
    assert living(tenant) == (0, 0, 0)
    with transaction.atomic():
        take_key(tenant.id, project.id, 5)
    assert living(tenant)[:2] == (5, 5)


def test_a_wrong_count_keeps_no_key_alive(tenant):
    key = issue(tenant).key
    Tenant.objects.filter(pk=tenant.pk).update(keys_living=0)
    assert revoke_key(key=key, by=SOMEBODY).status == ApiKey.Status.REVOKED
    assert living(tenant) == (0, 0, 0)
    with transaction.atomic():
        give_back(tenant.id, project_of(tenant).id, 7)
    assert living(tenant) == (0, 0, 0)


def test_projects_have_a_quota_in_which_archived_ones_do_not_count(tenant):
    set_quotas(tenant=tenant, keys_most=None, projects_most=2, by=SOMEBODY)
    second = create_project(tenant=tenant, name="Second", by=SOMEBODY)
    with pytest.raises(QuotaError, match="2 projects that are not archived, and its quota is 2"):
        create_project(tenant=tenant, name="Third", by=SOMEBODY)
    archive_project(project=second, reason="It is over.", by=SOMEBODY)
    create_project(tenant=tenant, name="Third", by=SOMEBODY)
    with pytest.raises(QuotaError):
        bring_back_project(project=second, by=SOMEBODY)
    with tenant_scope(tenant.id):
        assert set(Project.objects.values_list("name", "status")) == {
            ("Default", "active"),
            ("Second", "archived"),
            ("Third", "active"),
        }


def test_a_quota_below_what_is_there_takes_nothing_away(tenant):
    issue(tenant, "first")
    issue(tenant, "second")
    set_quotas(tenant=tenant, keys_most=1, projects_most=0, by=SOMEBODY)
    assert living(tenant) == (2, 2, 2)
    with pytest.raises(QuotaError):
        issue(tenant, "third")


@pytest.mark.parametrize("number", [-1, 10_000_001])
def test_a_quota_that_cannot_be_is_refused(tenant, number):
    with pytest.raises(InvalidSettingError, match="A quota is 0 to 10,000,000") as refused:
        set_quotas(tenant=tenant, keys_most=number, projects_most=None, by=SOMEBODY)
    assert refused.value.field == "keys_most"
    with pytest.raises(InvalidSettingError):
        create_project(tenant=tenant, name="Second", keys_most=number, by=SOMEBODY)


def test_no_key_is_issued_for_what_is_archived(tenant):
    to_status(project_of(tenant), "archived")
    with pytest.raises(StatusError, match="project “Default” is archived"):
        issue(tenant)
    other = make_tenant("Other")
    to_status(other, "archived")
    with pytest.raises(StatusError, match="tenant “Other” is archived"):
        issue(other)
    assert living(tenant) == living(other) == (0, 0, 0)
