"""The tenant's projects: list, create, change, suspend and resume, archive and bring back."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from access.step_up import step_up_required
from tenants.actions.projects import (
    archive_project,
    bring_back_project,
    change_project,
    create_project,
    resume_project,
    suspend_project,
)
from tenants.errors import RefusedError, StaleError
from tenants.forms.ending import NamedReasonForm, ReasonForm
from tenants.forms.projects import ProjectEditForm, ProjectFilterForm, ProjectForm, initial_of_project
from tenants.gates import project_for
from tenants.http import TenantRequest
from tenants.models import Project
from tenants.permissions import Permission, needs
from tenants.tenant_queries import EVERY_STATUS, find_projects
from tenants.views.posting import post_or_page

PER_PAGE = 50


@needs(Permission.PROJECTS_VIEW)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The tenant's projects, narrowed by the address."""
    request = cast(TenantRequest, request)
    form = ProjectFilterForm(request.GET)
    form.is_valid()
    text, status = form.cleaned_data.get("q", "").strip(), form.cleaned_data.get("status", "")
    page = Paginator(find_projects(request.tenant, text=text, status=status), PER_PAGE).get_page(
        request.GET.get("page")
    )
    kept = {name: value for name, value in (("q", text), ("status", status)) if value}
    context = {
        "form": form,
        "page": page,
        "narrowed": bool(kept),
        "any": bool(page.paginator.count) or find_projects(request.tenant, status=EVERY_STATUS).exists(),
        "next_url": f"?{urlencode(kept | {'page': page.next_page_number()})}" if page.has_next() else "",
        "first_url": f"?{urlencode(kept)}" if page.has_previous() else "",
        "shown": f"{page.start_index():,} to {page.end_index():,} of {page.paginator.count:,}",
    }
    return render(request, "tenants/projects.html", context)


@needs(Permission.PROJECTS_CHANGE)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form of a new project."""
    request = cast(TenantRequest, request)
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = create_project(tenant=request.tenant, **form.cleaned_data, by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Project “{project.name}” is created.")
            return redirect("tenants:project", project.id)
    return render(request, "tenants/project_new.html", {"form": form}, status=422 if form.errors else 200)


@needs(Permission.PROJECTS_VIEW)
@require_safe
def detail(request: HttpRequest, project_id: str) -> HttpResponse:
    """One project: its facts, and what may be done with it."""
    request = cast(TenantRequest, request)
    return _detail(request, project_for(request, project_id))


def _detail(
    request: TenantRequest,
    project: Project,
    *,
    suspend_form: ReasonForm | None = None,
    archive_form: NamedReasonForm | None = None,
) -> HttpResponse:
    context = {
        "project": project,
        "suspend_form": suspend_form or ReasonForm(prefix="suspend"),
        "archive_form": archive_form or NamedReasonForm(named=project.name, prefix="archive"),
    }
    refused = suspend_form is not None or archive_form is not None
    return render(request, "tenants/project.html", context, status=422 if refused else 200)


@needs(Permission.PROJECTS_CHANGE)
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, project_id: str) -> HttpResponse:
    """Change a project's name, tags and quota of keys."""
    request = cast(TenantRequest, request)
    project = project_for(request, project_id)
    form = ProjectEditForm(request.POST or None, initial=initial_of_project(project))
    if request.method == "POST" and form.is_valid():
        try:
            change_project(project=project, **form.cleaned_data, by=request.actor)
        except StaleError as error:
            form.reopen(initial_of_project(project_for(request, project_id)), error)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Project “{form.cleaned_data['name'].strip()}” is saved.")
            return redirect("tenants:project", project.id)
    context = {"form": form, "project": project}
    return render(request, "tenants/project_edit.html", context, status=422 if form.errors else 200)


@needs(Permission.PROJECTS_SUSPEND)
@post_or_page("tenants:project", "project_id")
@step_up_required
def suspend(request: HttpRequest, project_id: str) -> HttpResponse:
    """Refuse all calls with the project's keys."""
    request = cast(TenantRequest, request)
    project = project_for(request, project_id)
    form = ReasonForm(request.POST, prefix="suspend")
    if form.is_valid():
        try:
            suspend_project(project=project, reason=form.cleaned_data["reason"], by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"“{project.name}” is suspended: the gateway refuses its keys from now on.")
            return redirect("tenants:project", project.id)
    return _detail(request, project, suspend_form=form)


@needs(Permission.PROJECTS_SUSPEND)
@post_or_page("tenants:project", "project_id")
@step_up_required
def resume(request: HttpRequest, project_id: str) -> HttpResponse:
    """Let calls with the project's keys pass again."""
    return _simply(request, project_id, resume_project, "“{}” is active again: calls with its keys pass.")


@needs(Permission.PROJECTS_SUSPEND)
@post_or_page("tenants:project", "project_id")
@step_up_required
def archive(request: HttpRequest, project_id: str) -> HttpResponse:
    """End a project, once its name was typed."""
    request = cast(TenantRequest, request)
    project = project_for(request, project_id)
    form = NamedReasonForm(request.POST, named=project.name, prefix="archive")
    if form.is_valid():
        try:
            archive_project(project=project, reason=form.cleaned_data["reason"], by=request.actor)
        except RefusedError as error:
            form.refuse(error)
        else:
            messages.success(request, f"“{project.name}” is archived: its keys are refused, its spend stays readable.")
            return redirect("tenants:project", project.id)
    return _detail(request, project, archive_form=form)


@needs(Permission.PROJECTS_SUSPEND)
@post_or_page("tenants:project", "project_id")
@step_up_required
def bring_back(request: HttpRequest, project_id: str) -> HttpResponse:
    """Make an archived project a suspended one."""
    said = "“{}” is back, and still suspended: resume it to let its keys work."
    return _simply(request, project_id, bring_back_project, said)


def _simply(request: HttpRequest, project_id: str, action: Callable[..., Project], said: str) -> HttpResponse:
    known = cast(TenantRequest, request)
    project = project_for(known, project_id)
    try:
        action(project=project, by=known.actor)
    except RefusedError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, said.format(project.name))
    return redirect("tenants:project", project.id)
