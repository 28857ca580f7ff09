"""Changes of tenants."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from changes.actor import Actor
from changes.record import Publish, Topic, record
from tenants.errors import NameTakenError
from tenants.models import Project, Tenant
from tenants.rules import clean_currency, clean_name, clean_time_zone
from tenants.scope import tenant_scope

FIRST_PROJECT = "Default"


def create_tenant(*, name: str, time_zone: str = "UTC", currency: str = "USD", by: Actor) -> Tenant:
    """A new tenant with a first project, so that a key can be issued at once. Raises RefusedError."""
    tenant = Tenant(
        name=clean_name(name, what="tenant"), time_zone=clean_time_zone(time_zone), currency=clean_currency(currency)
    )
    with transaction.atomic():
        _save(tenant, new=True)
        with tenant_scope(tenant.id):
            project = Project.objects.create(tenant=tenant, name=FIRST_PROJECT)
        record(
            "tenant.created",
            by=by,
            tenant=tenant.id,
            target_kind="tenant",
            target_id=tenant.id,
            after=_settings(tenant) | {"status": tenant.status},
            publish=[Publish(Topic.TENANT, tenant.id)],
        )
        record(
            "project.created",
            by=by,
            tenant=tenant.id,
            target_kind="project",
            target_id=project.id,
            after={"name": project.name},
        )
    return tenant


def change_tenant(*, tenant: Tenant, name: str, time_zone: str, currency: str, by: Actor) -> Tenant:
    """Change a tenant's name, time zone or currency. Changing nothing records nothing. Raises RefusedError."""
    with transaction.atomic():
        tenant = Tenant.objects.select_for_update().get(pk=tenant.pk)
        before = _settings(tenant)
        tenant.name = clean_name(name, what="tenant")
        tenant.time_zone = clean_time_zone(time_zone)
        tenant.currency = clean_currency(currency)
        if _settings(tenant) == before:
            return tenant
        _save(tenant, new=False)
        record(
            "tenant.changed",
            by=by,
            tenant=tenant.id,
            target_kind="tenant",
            target_id=tenant.id,
            before=before,
            after=_settings(tenant),
            publish=[Publish(Topic.TENANT, tenant.id)],
        )
    return tenant


def _settings(tenant: Tenant) -> dict[str, str]:
    return {"name": tenant.name, "time_zone": tenant.time_zone, "currency": tenant.currency}


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
