"""Projects: list, create, change; suspend and resume, archive and bring back."""

from __future__ import annotations

from typing import Annotated, Any, cast

from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router

from tenants.actions.projects import (
    archive_project,
    bring_back_project,
    change_project,
    create_project,
    resume_project,
    suspend_project,
)
from tenants.api.schemas import ProjectChange, ProjectIn, ProjectOut, ProjectPage, ReasonIn
from tenants.frame.idempotency import idempotent
from tenants.frame.operations import created, operation
from tenants.frame.paging import Paging, page_of
from tenants.gates import project_for
from tenants.http import TenantRequest
from tenants.models import Project
from tenants.permissions import Permission

projects = Router(tags=["Projects"])

ProjectId = Annotated[str, Path(pattern=r"^p_[0-9a-z]{1,30}$", description="The project's id.")]


@operation(projects, "GET", "", Permission.PROJECTS_VIEW, answers={200: ProjectPage}, summary="Projects")
def list_projects(request: HttpRequest, paging: Query[Paging]) -> Any:
    """The tenant's projects, the newest first, those that are archived too."""
    rows = Project.objects.filter(tenant=cast(TenantRequest, request).tenant)
    return page_of(rows, paging, ProjectOut.model_validate, newest_by=("created_at", "id"), salt="projects")


@operation(
    projects,
    "POST",
    "",
    Permission.PROJECTS_CHANGE,
    answers={201: ProjectOut},
    creates=True,
    summary="Create a project",
)
@idempotent
def create_project_named(request: HttpRequest, payload: ProjectIn) -> HttpResponse:
    known = cast(TenantRequest, request)
    return created(ProjectOut.model_validate(create_project(tenant=known.tenant, **payload.dict(), by=known.actor)))


@operation(projects, "GET", "/{project_id}", Permission.PROJECTS_VIEW, answers={200: ProjectOut}, summary="One project")
def get_project(request: HttpRequest, project_id: ProjectId) -> ProjectOut:
    return ProjectOut.model_validate(project_for(cast(TenantRequest, request), project_id))


@operation(
    projects,
    "PATCH",
    "/{project_id}",
    Permission.PROJECTS_CHANGE,
    answers={200: ProjectOut},
    conflicts=True,
    summary="Change a project",
)
def change_project_by_id(request: HttpRequest, project_id: ProjectId, payload: ProjectChange) -> ProjectOut:
    """What is left out stays. With `version`, a change that somebody made meanwhile is not overwritten."""
    known = cast(TenantRequest, request)
    project = project_for(known, project_id)
    given = payload.dict(exclude_unset=True)
    return ProjectOut.model_validate(change_project(project=project, **given, by=known.actor))


@operation(
    projects,
    "POST",
    "/{project_id}/suspend",
    Permission.PROJECTS_SUSPEND,
    answers={200: ProjectOut},
    conflicts=True,
    summary="Suspend a project",
)
def suspend_project_by_id(request: HttpRequest, project_id: ProjectId, payload: ReasonIn) -> ProjectOut:
    """The gateway refuses calls with its keys within a second: 402, `project_suspended`."""
    known = cast(TenantRequest, request)
    project = project_for(known, project_id)
    return ProjectOut.model_validate(suspend_project(project=project, reason=payload.reason, by=known.actor))


@operation(
    projects,
    "POST",
    "/{project_id}/resume",
    Permission.PROJECTS_SUSPEND,
    answers={200: ProjectOut},
    conflicts=True,
    summary="Resume a project",
)
def resume_project_by_id(request: HttpRequest, project_id: ProjectId) -> ProjectOut:
    known = cast(TenantRequest, request)
    return ProjectOut.model_validate(resume_project(project=project_for(known, project_id), by=known.actor))


@operation(
    projects,
    "POST",
    "/{project_id}/archive",
    Permission.PROJECTS_SUSPEND,
    answers={200: ProjectOut},
    conflicts=True,
    summary="Archive a project",
)
def archive_project_by_id(request: HttpRequest, project_id: ProjectId, payload: ReasonIn) -> ProjectOut:
    """Its keys are refused and no key can be issued for it; its spend stays readable."""
    known = cast(TenantRequest, request)
    project = project_for(known, project_id)
    return ProjectOut.model_validate(archive_project(project=project, reason=payload.reason, by=known.actor))


@operation(
    projects,
    "POST",
    "/{project_id}/bring-back",
    Permission.PROJECTS_SUSPEND,
    answers={200: ProjectOut},
    conflicts=True,
    summary="Bring an archived project back",
)
def bring_back_project_by_id(request: HttpRequest, project_id: ProjectId) -> ProjectOut:
    """It is suspended then: resume it to let its keys work."""
    known = cast(TenantRequest, request)
    return ProjectOut.model_validate(bring_back_project(project=project_for(known, project_id), by=known.actor))
