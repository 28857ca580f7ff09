"""Pages of projects and settings, and choosing another tenant."""

from __future__ import annotations

import pytest

from changes.models import AuditEvent
from tenants.actions.projects import create_project
from tenants.models import Membership, Project, Tenant
from tenants.scope import tenant_scope
from tests.tenants.making import SOMEBODY, issue, make_tenant, project_of
from tests.tenants.test_key_pages import text


def names(client) -> set[str]:
    with tenant_scope(client.tenant.id):
        return set(Project.objects.values_list("name", flat=True))


def test_projects_are_listed_with_their_keys(admin_client, our_key):
    issue(admin_client.tenant, "second")
    answer = admin_client.get("/projects")
    assert [(project.name, project.keys_living) for project in answer.context["page"]] == [("Default", 2)]


def test_a_project_is_created_and_renamed(admin_client):
    page = admin_client.post("/projects/new", {"name": " Support "}, follow=True)
    assert "“Support” is created" in text(page)
    with tenant_scope(admin_client.tenant.id):
        project = Project.objects.get(name="Support")
    page = admin_client.post(f"/projects/{project.id}/edit", {"name": "Help desk"}, follow=True)
    assert "Project “Help desk” is saved." in text(page)
    assert names(admin_client) == {"Default", "Help desk"}
    assert AuditEvent.objects.latest("id").actor_id == admin_client.user.pk


@pytest.mark.parametrize(("name", "said"), [("", "Write a name."), ("default", "already: choose another name")])
def test_a_projects_name_that_cannot_be_is_said(admin_client, name, said):
    answer = admin_client.post("/projects/new", {"name": name})
    assert said in text(answer)
    assert names(admin_client) == {"Default"}


def test_a_strangers_project_is_not_there(admin_client, their_key):
    for project_id in (their_key.key.project_id, "p_nothing"):
        assert admin_client.post(f"/projects/{project_id}/edit", {"name": "Mine"}).status_code == 404


def test_settings_are_changed(admin_client):
    form = {"name": "Acme Ltd", "time_zone": "Asia/Kolkata", "currency": "INR", "billing_day": "1"}
    page = admin_client.post("/settings", form, follow=True)
    assert "The settings are saved." in text(page)
    tenant = Tenant.objects.get(pk=admin_client.tenant.pk)
    assert (tenant.name, tenant.time_zone, tenant.currency) == ("Acme Ltd", "Asia/Kolkata", "INR")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "Write a name."),
        ("name", "Strangers Ltd", "already: choose another name"),
        ("time_zone", "Mars/Olympus", "Mars/Olympus is not one of the available choices"),
        ("currency", "DEM", "DEM is not one of the available choices"),
    ],
)
def test_settings_that_cannot_be_are_said_at_their_field(admin_client, field, value, said):
    make_tenant("Strangers Ltd")
    form = {"name": "Acme Ltd", "time_zone": "UTC", "currency": "USD", "billing_day": "1"} | {field: value}
    answer = admin_client.post("/settings", form)
    assert list(answer.context["form"].errors) == [field]
    assert said in text(answer)
    assert Tenant.objects.get(pk=admin_client.tenant.pk).name == admin_client.tenant.name


def test_another_tenant_is_chosen_and_stays_chosen(admin_client):
    other = make_tenant("Other")
    create_project(tenant=other, name="Their project", by=SOMEBODY)
    answer = admin_client.post(f"/tenants/{other.id}/switch", {"next": "/projects"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/projects")
    assert "Their project" in text(admin_client.get("/projects"))


@pytest.mark.parametrize("following", ["", "https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_choosing_leads_nobody_away(admin_client, following):
    answer = admin_client.post(f"/tenants/{admin_client.tenant.id}/switch", {"next": following})
    assert answer.headers["Location"] == "/"


def test_only_a_tenant_of_ones_own_can_be_chosen(admin_client):
    foreign = make_tenant("Foreign")
    Membership.objects.filter(role=Membership.Role.PLATFORM_ADMIN).delete()
    for tenant_id in (foreign.id, "t_nothing"):
        assert admin_client.post(f"/tenants/{tenant_id}/switch").status_code == 404
    assert admin_client.get("/keys").wsgi_request.tenant == admin_client.tenant


def test_the_first_project_is_the_one_that_bootstrapping_made(admin_client):
    assert project_of(admin_client.tenant).name == "Default"
