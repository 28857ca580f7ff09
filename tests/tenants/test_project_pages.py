"""Pages of projects: found, created with tags and a quota, suspended, archived."""

from __future__ import annotations

import pytest

from tenants.actions.projects import change_project, create_project
from tenants.models import Project
from tenants.scope import tenant_scope
from tests.tenants.making import SOMEBODY, issue, project_of, to_status
from tests.tenants.test_key_pages import text, values_of


def stored(project: Project) -> Project:
    with tenant_scope(project.tenant_id):
        return Project.objects.get(pk=project.pk)


def shown(answer) -> list[str]:
    return [project.name for project in answer.context["page"]]


@pytest.fixture
def support(admin_client) -> Project:
    return create_project(tenant=admin_client.tenant, name="Support", by=SOMEBODY)


def test_projects_are_found_and_archived_ones_step_back(admin_client, support):
    to_status(support, "archived")
    assert shown(admin_client.get("/projects")) == ["Default"]
    assert shown(admin_client.get("/projects?status=archived")) == ["Support"]
    assert shown(admin_client.get("/projects?status=all&q=SUPP")) == ["Support"]
    assert shown(admin_client.get("/projects?status=all")) == ["Default", "Support"]
    assert "No project matches" in text(admin_client.get("/projects?q=nothing"))


def test_the_list_comes_in_pages_with_constant_queries(admin_client, django_assert_max_num_queries):
    with tenant_scope(admin_client.tenant.id):
        Project.objects.bulk_create(
            [Project(tenant=admin_client.tenant, name=f"Project {number:03}") for number in range(70)]
        )
    with django_assert_max_num_queries(12):
        page = admin_client.get("/projects?q=project")
    assert (len(shown(page)), page.context["next_url"]) == (50, "?q=project&page=2")


def test_a_project_has_tags_and_a_quota(admin_client):
    page = admin_client.post("/projects/new", {"name": "Search", "tags": "team=search", "keys_most": "2"}, follow=True)
    assert "Project “Search” is created" in text(page)
    assert "team=search" in text(page)
    assert "0 keys , at most 2" in text(page)


def test_a_project_is_edited_and_of_two_the_second_is_told(admin_client, support):
    address = f"/projects/{support.id}/edit"
    opened = values_of(admin_client.get(address))
    change_project(project=support, keys_most=9, by=SOMEBODY)
    wanted = opened | {"name": "Help desk", "tags": "team=care"}
    answer = admin_client.post(address, wanted)
    assert answer.status_code == 422
    assert "changed this meanwhile. It said: nothing." in text(answer)
    assert "It says now" not in text(answer)
    admin_client.post(address, values_of(answer))
    found = stored(support)
    assert (found.name, found.keys_most, found.tags) == ("Help desk", 9, {"team": "care"})
    change_project(project=support, name="Care", by=SOMEBODY)
    answer = admin_client.post(address, values_of(answer) | {"name": "Service"})
    assert "It says now: Care." in text(answer)  # both changed it
    admin_client.post(address, values_of(answer))
    assert stored(support).name == "Service"


def test_a_project_is_suspended_resumed_archived_and_brought_back(admin_client, support):
    address = f"/projects/{support.id}"
    assert admin_client.post(f"{address}/suspend", {"suspend-reason": ""}).status_code == 422
    page = admin_client.post(f"{address}/suspend", {"suspend-reason": "Runaway script."}, follow=True)
    assert "The gateway refuses calls with this project's keys. Reason: Runaway script." in text(page)
    assert "is active again" in text(admin_client.post(f"{address}/resume", follow=True))
    wrong = admin_client.post(f"{address}/archive", {"archive-name": "support", "archive-reason": "Over."})
    assert "That is not its name" in text(wrong)
    page = admin_client.post(
        f"{address}/archive", {"archive-name": "Support", "archive-reason": "It is over."}, follow=True
    )
    assert "This project is archived." in text(page)
    assert "still suspended" in text(admin_client.post(f"{address}/bring-back", follow=True))
    assert stored(support).status == "suspended"


def test_no_key_is_issued_for_an_archived_project(admin_client):
    project = project_of(admin_client.tenant)
    to_status(project, "archived")
    form = {"name": "Bot", "project": project.id, "env": "dev", "token": "once"}
    admin_client.post("/keys/issue", form)
    assert stored(project).keys_living == 0


def test_a_projects_page_leads_to_its_keys_and_spend(admin_client, our_key):
    issue(admin_client.tenant, "second")
    page = admin_client.get(f"/projects/{our_key.key.project_id}").content.decode()
    assert f'href="/keys?project={our_key.key.project_id}">2 keys' in page
    assert f'href="/spend?project={our_key.key.project_id}"' in page


def test_a_strangers_project_is_not_there(admin_client, their_key):
    address = f"/projects/{their_key.key.project_id}"
    assert admin_client.get(address).status_code == 404
    for what in ("edit", "suspend", "resume", "archive", "bring-back"):
        assert admin_client.post(f"{address}/{what}").status_code == 404
