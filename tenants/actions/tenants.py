"""Tenants: created, changed, given quotas; suspended and resumed; archived and brought back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from changes.actor import Actor
from changes.record import Publish, Topic, record
from tenants.actions.standing import hold_open
from tenants.actions.versions import refuse_overtaken
from tenants.errors import NameTakenError, StatusError
from tenants.models import Project, Tenant
from tenants.rules import clean_billing_day, clean_currency, clean_name, clean_quota, clean_reason, clean_time_zone
from tenants.scope import tenant_scope
from tenants.signals import zone_changing
from tenants.tags import clean_tags

FIRST_PROJECT = "Default"
_Status = Tenant.Status


def create_tenant(
    *,
    name: str,
    time_zone: str = "UTC",
    currency: str = "USD",
    billing_day: int = 1,
    tags: Mapping[str, str] | None = None,
    keys_most: int | None = None,
    projects_most: int | None = None,
    by: Actor,
) -> Tenant:
    """A new tenant with a first project, so that a key can be issued at once. Raises RefusedError."""
    tenant = Tenant(
        name=clean_name(name, what="tenant"),
        time_zone=clean_time_zone(time_zone),
        currency=clean_currency(currency),
        billing_day=clean_billing_day(billing_day),
        tags=clean_tags(tags or {}),
        keys_most=clean_quota(keys_most, field="keys_most"),
        projects_most=clean_quota(projects_most, field="projects_most"),
    )
    with transaction.atomic():
        _save(tenant, new=True)
        with tenant_scope(tenant.id):
            project = Project.objects.create(tenant=tenant, name=FIRST_PROJECT)
        after = _settings(tenant) | _quotas(tenant) | {"status": tenant.status}
        _record("tenant.created", tenant, by=by, after=after)
        record(
            "project.created",
            by=by,
            tenant=tenant.id,
            target_kind="project",
            target_id=project.id,
            after={"name": project.name},
        )
    return tenant


def change_tenant(
    *,
    tenant: Tenant,
    name: str | None = None,
    time_zone: str | None = None,
    currency: str | None = None,
    billing_day: int | None = None,
    tags: Mapping[str, str] | None = None,
    version: int | None = None,
    by: Actor,
) -> Tenant:
    """Change a tenant's settings; None leaves one as it is. Changing nothing records nothing.

    `version` is the one that the person saw. Raises StaleError when it is no longer that, and RefusedError.
    """
    with transaction.atomic():
        tenant = hold_open(tenant.id)
        refuse_overtaken(tenant, version, target_kind="tenant")
        before = _settings(tenant)
        if name is not None:
            tenant.name = clean_name(name, what="tenant")
        if time_zone is not None:
            tenant.time_zone = clean_time_zone(time_zone)
            zone_changing.send(Tenant, tenant=tenant, zone=tenant.time_zone)
        if currency is not None:
            tenant.currency = clean_currency(currency)
        if billing_day is not None:
            tenant.billing_day = clean_billing_day(billing_day)
        if tags is not None:
            tenant.tags = clean_tags(tags)
        return _changed("tenant.changed", tenant, before, _settings(tenant), by=by)


def set_quotas(
    *, tenant: Tenant, keys_most: int | None, projects_most: int | None, version: int | None = None, by: Actor
) -> Tenant:
    """How many living keys and projects a tenant may have; None for any number.

    A quota below what is there already takes nothing away: nothing more is added. Raises StaleError and RefusedError.
    """
    with transaction.atomic():
        tenant = hold_open(tenant.id)
        refuse_overtaken(tenant, version, target_kind="tenant")
        before = _quotas(tenant)
        tenant.keys_most = clean_quota(keys_most, field="keys_most")
        tenant.projects_most = clean_quota(projects_most, field="projects_most")
        return _changed("tenant.quotas_changed", tenant, before, _quotas(tenant), by=by)


def suspend_tenant(*, tenant: Tenant, reason: str, by: Actor) -> Tenant:
    """Refuse all calls of a tenant at the gateway until it is resumed. Raises StatusError for an archived one."""
    return _move(tenant, "tenant.suspended", {_Status.ACTIVE}, _Status.SUSPENDED, reason=clean_reason(reason), by=by)


def resume_tenant(*, tenant: Tenant, by: Actor) -> Tenant:
    """Let a suspended tenant's calls pass again. Raises StatusError for an archived one."""
    return _move(tenant, "tenant.resumed", {_Status.SUSPENDED}, _Status.ACTIVE, reason="", by=by)


def archive_tenant(*, tenant: Tenant, reason: str, by: Actor) -> Tenant:
    """End the use of a suspended tenant: nothing of it can be issued or changed any more, and its spend stays readable.

    Raises StatusError for an active one: its calls must have ended before.
    """
    return _move(tenant, "tenant.archived", {_Status.SUSPENDED}, _Status.ARCHIVED, reason=clean_reason(reason), by=by)


def bring_back_tenant(*, tenant: Tenant, by: Actor) -> Tenant:
    """Make an archived tenant a suspended one: whoever resumes it lets its keys work again. Raises StatusError."""
    return _move(tenant, "tenant.brought_back", {_Status.ARCHIVED}, _Status.SUSPENDED, reason="Brought back.", by=by)


_REFUSED = {  # what is asked for, and what the tenant is instead
    ("tenant.suspended", _Status.ARCHIVED): "is archived, and its calls are refused already",
    ("tenant.resumed", _Status.ARCHIVED): "is archived: bring it back first",
    ("tenant.archived", _Status.ACTIVE): "is active: suspend it first, so that its calls have ended",
    ("tenant.brought_back", _Status.ACTIVE): "is not archived",
}


def _move(tenant: Tenant, kind: str, from_: set[_Status], to: _Status, *, reason: str, by: Actor) -> Tenant:
    with transaction.atomic():
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        before = {"status": tenant.status, "reason": tenant.status_reason}
        if tenant.status not in from_:
            words = _REFUSED.get((kind, _Status(tenant.status)))
            if words:
                raise StatusError(f"The tenant “{tenant.name}” {words}.")
            return tenant  # it is so already
        tenant.status, tenant.status_reason = to, reason
        return _changed(kind, tenant, before, {"status": to.value, "reason": reason}, by=by)


def _changed(kind: str, tenant: Tenant, before: dict[str, Any], after: dict[str, Any], *, by: Actor) -> Tenant:
    if after == before:
        return tenant
    tenant.version += 1
    _save(tenant, new=False)
    changed = [name for name in after if after[name] != before[name]]
    _record(
        kind,
        tenant,
        by=by,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
    )
    return tenant


def _settings(tenant: Tenant) -> dict[str, Any]:
    return {
        "name": tenant.name,
        "time_zone": tenant.time_zone,
        "currency": tenant.currency,
        "billing_day": tenant.billing_day,
        "tags": tenant.tags,
    }


def _quotas(tenant: Tenant) -> dict[str, Any]:
    return {"keys_most": tenant.keys_most, "projects_most": tenant.projects_most}


def _save(tenant: Tenant, *, new: bool) -> None:
    others = Tenant.objects.filter(name__iexact=tenant.name).exclude(pk=tenant.pk)
    try:
        if others.exists():
            raise IntegrityError
        with transaction.atomic():
            tenant.save(force_insert=new)
    except IntegrityError as error:
        raise NameTakenError(
            f"There is a tenant named “{tenant.name}” already: choose another name.", field="name"
        ) from error


def _record(
    kind: str, tenant: Tenant, *, by: Actor, before: dict[str, Any] | None = None, after: dict[str, Any]
) -> None:
    record(
        kind,
        by=by,
        tenant=tenant.id,
        target_kind="tenant",
        target_id=tenant.id,
        before=before,
        after=after,
        publish=[Publish(Topic.TENANT, tenant.id, urgent=kind == "tenant.suspended")],
    )
