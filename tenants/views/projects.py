"""The tenant's projects: list, create, rename."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from tenants.actions.projects import change_project, create_project
from tenants.errors import RefusedError
from tenants.forms.projects import ProjectForm
from tenants.gates import project_for
from tenants.http import TenantRequest
from tenants.permissions import Permission, needs
from tenants.queries import projects_of


@needs(Permission.PROJECTS_VIEW, to_write=Permission.PROJECTS_CHANGE)
@require_http_methods(["GET", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """All projects with their number of keys, and a form for a new one."""
    request = cast(TenantRequest, request)
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = create_project(tenant=request.tenant, **form.cleaned_data, by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Project “{project.name}” is created.")
            return redirect("tenants:projects")
    return render(request, "tenants/projects.html", {"form": form, "projects": projects_of(request.tenant)})


@needs(Permission.PROJECTS_CHANGE)
@require_http_methods(["GET", "POST"])
def rename(request: HttpRequest, project_id: str) -> HttpResponse:
    """Give a project another name."""
    request = cast(TenantRequest, request)
    project = project_for(request, project_id)
    form = ProjectForm(request.POST or None, initial={"name": project.name})
    if request.method == "POST" and form.is_valid():
        try:
            renamed = change_project(project=project, **form.cleaned_data, by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Project “{project.name}” is now “{renamed.name}”.")
            return redirect("tenants:projects")
    return render(request, "tenants/project_rename.html", {"form": form, "project": project})
