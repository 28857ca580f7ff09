"""How many living keys and projects there may be. The counts are kept in the transaction of the change itself.

Rows are locked in this order, here and wherever an action needs several: keys by id, the project, the tenant, the end
of the audit trail. So two changes at once wait for each other and never block each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Greatest

from tenants.actions.standing import hold_open
from tenants.errors import QuotaError, StatusError
from tenants.models import Project, Tenant
from tenants.scope import tenant_scope

_FREE = Q(keys_most=None)


def take_key(tenant_id: str, project_id: str, number: int = 1) -> None:
    """Count keys that are about to be made, of a project that is not archived in a tenant that is not.

    Call it inside the transaction that makes them. Raises QuotaError and StatusError.
    """
    room = _FREE | Q(keys_most__gte=F("keys_living") + number)
    more = {"keys_living": F("keys_living") + number}
    with tenant_scope(tenant_id):
        projects = Project.objects.filter(pk=project_id).exclude(status=Project.Status.ARCHIVED)
        if not projects.filter(room).update(**more):
            _refuse_in_project(Project.objects.get(pk=project_id), number)
    tenants = Tenant.objects.filter(pk=tenant_id).exclude(status=Tenant.Status.ARCHIVED)
    if not tenants.filter(room).update(**more):
        hold_open(tenant_id)
        _refuse(Tenant.objects.get(pk=tenant_id), number, "The tenant", "a platform admin")


def give_back(tenant_id: str, project_id: str, number: int = 1) -> None:
    """Count keys as gone that were just revoked. Call it inside the transaction that revokes them."""
    fewer = {"keys_living": Greatest(F("keys_living") - number, 0)}  # a wrong count must keep no key alive
    with tenant_scope(tenant_id):
        Project.objects.filter(pk=project_id).update(**fewer)
    Tenant.objects.filter(pk=tenant_id).update(**fewer)


def give_back_all(tenant_id: str, by_project: Mapping[str, int]) -> None:
    """Count keys of several projects as gone, in the order that all changes lock in."""
    with tenant_scope(tenant_id):
        for project_id, number in sorted(by_project.items()):
            Project.objects.filter(pk=project_id).update(keys_living=Greatest(F("keys_living") - number, 0))
    total = sum(by_project.values())
    Tenant.objects.filter(pk=tenant_id).update(keys_living=Greatest(F("keys_living") - total, 0))


def move_key(from_project: str, to_project: str) -> None:
    """Count a living key in another project of its tenant, inside the transaction that moves it.

    Raises QuotaError and StatusError.
    """
    projects = Project.objects.filter(pk__in=(from_project, to_project)).order_by("pk")
    list(projects.select_for_update(no_key=True))
    room = _FREE | Q(keys_most__gt=F("keys_living"))
    target = Project.objects.filter(pk=to_project).exclude(status=Project.Status.ARCHIVED)
    if not target.filter(room).update(keys_living=F("keys_living") + 1):
        _refuse_in_project(Project.objects.get(pk=to_project), 1)
    Project.objects.filter(pk=from_project).update(keys_living=Greatest(F("keys_living") - 1, 0))


def take_project(tenant_id: str) -> None:
    """See that a tenant may have one more project. Call it inside the transaction that makes or brings it back.

    Raises QuotaError and StatusError.
    """
    tenant = hold_open(tenant_id)
    if tenant.projects_most is None:
        return
    with tenant_scope(tenant_id):
        number = Project.objects.filter(tenant=tenant_id).exclude(status=Project.Status.ARCHIVED).count()
    if number >= tenant.projects_most:
        raise QuotaError(
            f"The tenant “{tenant.name}” has {_of(number, 'project')} that are not archived, and its quota is "
            f"{tenant.projects_most}. Archive one, or ask a platform admin to raise the quota."
        )


def _refuse_in_project(project: Project, number: int) -> NoReturn:
    if project.status == Project.Status.ARCHIVED:
        raise StatusError(
            f"The project “{project.name}” is archived, so no key can be issued for it. Choose another one, or bring "
            "it back first.",
            field="project",
        )
    _refuse(project, number, "The project", "a tenant admin")


def _refuse(owner: models.Model, number: int, what: str, whom: str) -> NoReturn:
    name, living, most = str(owner), owner.keys_living, owner.keys_most  # type: ignore[attr-defined]
    wanted = "" if number == 1 else f"; {number:,} more do not fit"
    raise QuotaError(
        f"{what} “{name}” has {_of(living, 'living key')}, and its quota is {most:,}{wanted}. "
        f"Revoke what is not used any more, or ask {whom} to raise the quota."
    )


def _of(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
