"""Changes of tenants and projects: recorded, whole or not at all."""

from __future__ import annotations

import pytest

from changes.models import AuditEvent, OutboxRow
from tenants.actions.projects import change_project, create_project
from tenants.actions.tenants import change_tenant, create_tenant
from tenants.errors import InvalidSettingError, NameTakenError
from tenants.models import Project, Tenant
from tenants.scope import across_tenants, tenant_scope
from tests.tenants.making import SOMEBODY, make_tenant, project_of, project_of_name

pytestmark = pytest.mark.django_db


def published() -> list[tuple[str, str]]:
    return list(OutboxRow.objects.order_by("id").values_list("topic", "object_id"))


def kinds() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("kind", flat=True))


def test_a_new_tenant_has_a_first_project_and_is_published():
    tenant = create_tenant(name=" Acme ", time_zone="Asia/Kolkata", currency="inr", by=SOMEBODY)
    stored = Tenant.objects.get()
    assert (stored.name, stored.time_zone, stored.currency) == ("Acme", "Asia/Kolkata", "INR")
    assert stored.id.startswith("t_")
    assert project_of(tenant).name == "Default"
    assert kinds() == ["tenant.created", "project.created"]
    assert published() == [("tenant", tenant.id)]
    event = AuditEvent.objects.get(kind="tenant.created")
    assert (event.tenant_id, event.actor_id, event.actor_role) == (tenant.id, SOMEBODY.id, "tenant_admin")


@pytest.mark.parametrize("settings", [{"time_zone": "Mars/Olympus"}, {"currency": "DEM"}])
def test_a_tenant_that_cannot_be_leaves_nothing_behind(settings):
    with pytest.raises(InvalidSettingError):
        make_tenant(**settings)
    assert not Tenant.objects.exists()
    assert kinds() == []


@pytest.mark.parametrize("name", ["Acme", "ACME", " acme "])
def test_a_tenants_name_is_its_own(name):
    make_tenant("Acme")
    before = kinds()
    with pytest.raises(NameTakenError, match="already: choose another name"):
        make_tenant(name)
    assert Tenant.objects.count() == 1
    assert kinds() == before


def test_settings_are_changed_and_both_states_kept():
    tenant = make_tenant("Acme")
    change_tenant(tenant=tenant, name="Acme Ltd", time_zone="Europe/Berlin", currency="EUR", by=SOMEBODY)
    event = AuditEvent.objects.latest("id")
    assert event.kind == "tenant.changed"
    assert event.before == {"name": "Acme", "time_zone": "UTC", "currency": "USD"}  # what changed, and nothing else
    assert event.after == {"name": "Acme Ltd", "time_zone": "Europe/Berlin", "currency": "EUR"}


def test_changing_nothing_records_nothing():
    tenant = make_tenant("Acme")
    before = kinds()
    change_tenant(tenant=tenant, name="Acme", time_zone="UTC", currency="USD", by=SOMEBODY)
    change_project(project=project_of(tenant), name="Default", by=SOMEBODY)
    assert kinds() == before


def test_a_tenant_can_change_how_its_name_is_written():
    tenant = make_tenant("acme")
    assert change_tenant(tenant=tenant, name="ACME", time_zone="UTC", currency="USD", by=SOMEBODY).name == "ACME"


def test_projects_are_created_and_renamed():
    tenant = make_tenant()
    project = create_project(tenant=tenant, name="Support", by=SOMEBODY)
    change_project(project=project, name="Help desk", by=SOMEBODY)
    with tenant_scope(tenant.id):
        assert set(Project.objects.values_list("name", flat=True)) == {"Default", "Help desk"}
    event = AuditEvent.objects.latest("id")
    assert (event.kind, event.target_id) == ("project.renamed", project.id)
    assert (event.before, event.after) == ({"name": "Support"}, {"name": "Help desk"})


def test_a_projects_name_is_its_own_within_its_tenant_only():
    ours, theirs = make_tenant("Ours"), make_tenant("Theirs")
    create_project(tenant=ours, name="Support", by=SOMEBODY)
    create_project(tenant=theirs, name="Support", by=SOMEBODY)
    with pytest.raises(NameTakenError):
        create_project(tenant=ours, name="support", by=SOMEBODY)
    with pytest.raises(NameTakenError):
        change_project(project=project_of_name(ours, "Default"), name="Support", by=SOMEBODY)
    with across_tenants("all projects are counted"):
        assert Project.objects.count() == 4
