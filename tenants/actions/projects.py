"""Projects: created, changed; suspended and resumed; archived and brought back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import IntegrityError, transaction

from changes.actor import Actor
from changes.record import Publish, Topic, record
from tenants.actions.quotas import take_project
from tenants.actions.standing import hold_open
from tenants.actions.versions import refuse_overtaken
from tenants.errors import NameTakenError, StatusError
from tenants.models import Project, Tenant
from tenants.rules import clean_name, clean_quota, clean_reason
from tenants.scope import tenant_scope
from tenants.tags import clean_tags

_Status = Project.Status
_AS_IT_IS: Final = -1


def create_project(
    *,
    tenant: Tenant,
    name: str,
    tags: Mapping[str, str] | None = None,
    keys_most: int | None = None,
    by: Actor,
) -> Project:
    """A new project of a tenant. Raises RefusedError, QuotaError when the tenant has as many as it may."""
    project = Project(
        tenant=tenant,
        name=clean_name(name, what="project"),
        tags=clean_tags(tags or {}),
        keys_most=clean_quota(keys_most, field="keys_most"),
    )
    with transaction.atomic(), tenant_scope(tenant.id):
        take_project(tenant.id)
        _save(project, new=True)
        after = _described(project)
        _record("project.created", project, by=by, after={name: value for name, value in after.items() if value})
    return project


def change_project(
    *,
    project: Project,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    keys_most: int | None = _AS_IT_IS,
    version: int | None = None,
    by: Actor,
) -> Project:
    """Change a project's name, tags or quota of keys; what is not given stays. Changing nothing records nothing.

    `version` is the one that the person saw. Raises StaleError when it is no longer that, and RefusedError.
    """
    with transaction.atomic(), tenant_scope(project.tenant_id):
        project = _locked(project)
        refuse_overtaken(project, version, target_kind="project")
        hold_open(project.tenant_id)
        _refuse_archived(project)
        before = _described(project)
        if name is not None:
            project.name = clean_name(name, what="project")
        if tags is not None:
            project.tags = clean_tags(tags)
        if keys_most != _AS_IT_IS:
            project.keys_most = clean_quota(keys_most, field="keys_most")
        after = _described(project)
        changed = [field for field in after if after[field] != before[field]]
        if not changed:
            return project
        project.version += 1
        _save(project, new=False)
        _record(
            "project.renamed" if changed == ["name"] else "project.changed",
            project,
            by=by,
            before={field: before[field] for field in changed},
            after={field: after[field] for field in changed},
        )
    return project


def suspend_project(*, project: Project, reason: str, by: Actor) -> Project:
    """Refuse all calls with the project's keys until it is resumed. Raises StatusError for an archived one."""
    return _move(project, "project.suspended", {_Status.ACTIVE}, _Status.SUSPENDED, clean_reason(reason), by=by)


def resume_project(*, project: Project, by: Actor) -> Project:
    """Let calls with a suspended project's keys pass again. Raises StatusError for an archived one."""
    return _move(project, "project.resumed", {_Status.SUSPENDED}, _Status.ACTIVE, "", by=by)


def archive_project(*, project: Project, reason: str, by: Actor) -> Project:
    """End a project: its keys are refused, no key can be issued for it, and its spend stays readable."""
    return _move(
        project,
        "project.archived",
        {_Status.ACTIVE, _Status.SUSPENDED},
        _Status.ARCHIVED,
        clean_reason(reason),
        by=by,
    )


def bring_back_project(*, project: Project, by: Actor) -> Project:
    """Make an archived project a suspended one: whoever resumes it lets its keys work again.

    Raises QuotaError when the tenant has as many projects as it may.
    """
    return _move(project, "project.brought_back", {_Status.ARCHIVED}, _Status.SUSPENDED, "Brought back.", by=by)


_TAKES_AWAY = {"project.suspended", "project.archived"}  # also of a tenant that is archived
_REFUSED = {  # what is asked for, and what the project is instead
    ("project.suspended", _Status.ARCHIVED): "is archived, and its calls are refused already",
    ("project.resumed", _Status.ARCHIVED): "is archived: bring it back first",
    ("project.brought_back", _Status.ACTIVE): "is not archived",
}


def _move(project: Project, kind: str, from_: set[_Status], to: _Status, reason: str, *, by: Actor) -> Project:
    with transaction.atomic(), tenant_scope(project.tenant_id):
        project = _locked(project)
        before = {"status": project.status, "reason": project.status_reason}
        if project.status not in from_:
            words = _REFUSED.get((kind, _Status(project.status)))
            if words:
                raise StatusError(f"The project “{project.name}” {words}.")
            return project  # it is so already
        if kind == "project.brought_back":
            take_project(project.tenant_id)
        elif kind not in _TAKES_AWAY:
            hold_open(project.tenant_id)
        project.status, project.status_reason = to, reason
        project.version += 1
        project.save(update_fields=["status", "status_reason", "version"])
        _record(
            kind,
            project,
            by=by,
            before=before,
            after={"status": to.value, "reason": reason},
            # the tenant's one document says it at once, those of the keys follow
            publish=[
                Publish(Topic.TENANT, project.tenant_id, urgent=kind in _TAKES_AWAY),
                Publish(Topic.PROJECT, project.id),
            ],
        )
    return project


def _refuse_archived(project: Project) -> None:
    if project.status == _Status.ARCHIVED:
        raise StatusError(f"The project “{project.name}” is archived and cannot be changed: bring it back first.")


def _locked(project: Project) -> Project:
    found: Project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    return found


def _described(project: Project) -> dict[str, Any]:
    return {"name": project.name, "tags": project.tags, "keys_most": project.keys_most}


def _save(project: Project, *, new: bool) -> None:
    others = Project.objects.filter(tenant=project.tenant_id, name__iexact=project.name).exclude(pk=project.pk)
    try:
        if others.exists():
            raise IntegrityError
        with transaction.atomic():
            project.save(force_insert=new, update_fields=None if new else ["name", "tags", "keys_most", "version"])
    except IntegrityError as error:
        raise NameTakenError(
            f"This tenant has a project named “{project.name}” already: choose another name.", field="name"
        ) from error


def _record(
    kind: str,
    project: Project,
    *,
    by: Actor,
    before: dict[str, Any] | None = None,
    after: dict[str, Any],
    publish: list[Publish] | None = None,
) -> None:
    record(
        kind,
        by=by,
        tenant=project.tenant_id,
        target_kind="project",
        target_id=project.id,
        before=before,
        after=after,
        publish=publish or (),
    )
