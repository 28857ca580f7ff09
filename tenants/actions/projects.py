"""Changes of projects."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from changes.actor import Actor
from changes.record import record
from tenants.errors import NameTakenError
from tenants.models import Project, Tenant
from tenants.rules import clean_name
from tenants.scope import tenant_scope


def create_project(*, tenant: Tenant, name: str, by: Actor) -> Project:
    """A new project of a tenant. Raises RefusedError."""
    project = Project(tenant=tenant, name=clean_name(name, what="project"))
    with transaction.atomic(), tenant_scope(tenant.id):
        _save(project, new=True)
        record(
            "project.created",
            by=by,
            tenant=tenant.id,
            target_kind="project",
            target_id=project.id,
            after={"name": project.name},
        )
    return project


def rename_project(*, project: Project, name: str, by: Actor) -> Project:
    """Give a project another name. The same name again records nothing. Raises RefusedError."""
    name = clean_name(name, what="project")
    with transaction.atomic(), tenant_scope(project.tenant_id):
        project = Project.objects.select_for_update().get(pk=project.pk)
        before = project.name
        if name == before:
            return project
        project.name = name
        _save(project, new=False)
        record(
            "project.renamed",
            by=by,
            tenant=project.tenant_id,
            target_kind="project",
            target_id=project.id,
            before={"name": before},
            after={"name": name},
        )
    return project


def _save(project: Project, *, new: bool) -> None:
    others = Project.objects.filter(tenant=project.tenant_id, name__iexact=project.name).exclude(pk=project.pk)
    try:
        if others.exists():
            raise IntegrityError
        with transaction.atomic():
            project.save(force_insert=new)
    except IntegrityError as error:
        raise NameTakenError(
            f"This tenant has a project named “{project.name}” already: choose another name.", field="name"
        ) from error
