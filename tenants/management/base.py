"""What commands about tenants and keys share: `--json`, refusals as errors, and who is said to act."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from changes.actor import Actor
from tenants.errors import ManyRefusedError, RefusedError
from tenants.models import Project, Tenant
from tenants.scope import across_tenants


class TenantCommand(BaseCommand):
    """Subclasses write `perform()`, which returns what `--json` prints and what people read."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        by = Actor.system(f"manage.py {type(self).__module__.rpartition('.')[2]}")
        try:
            with across_tenants("whoever runs commands on the host looks after all tenants"):
                found, text = self.perform(by=by, **options)
        except ManyRefusedError as error:
            lines = [
                f"line {each.line}{f', {each.field}' if each.field else ''}: {each.message}" for each in error.faults
            ]
            raise CommandError("\n".join(["Nothing was changed.", *lines])) from error
        except RefusedError as error:
            raise CommandError(error.message) from error
        self.stdout.write(json.dumps(found, ensure_ascii=False) if options["json"] else text)

    def perform(self, *, by: Actor, **options: Any) -> tuple[Any, str]:
        raise NotImplementedError


def tenant_named(name: str) -> Tenant:
    """The tenant with this id or name. Raises CommandError."""
    tenant = Tenant.objects.filter(id=name).first() or Tenant.objects.filter(name=name).first()
    if tenant is None:
        raise CommandError(f"There is no tenant with the id or name {name!r}.")
    return tenant


def project_named(tenant: Tenant, name: str) -> Project:
    """The tenant's project with this id or name; its only one when `name` is "". Raises CommandError."""
    projects = Project.objects.filter(tenant=tenant)
    if name:
        project = projects.filter(id=name).first() or projects.filter(name=name).first()
        if project is None:
            raise CommandError(f"The tenant “{tenant.name}” has no project with the id or name {name!r}.")
        return project
    found = list(projects[:2])
    if len(found) != 1:
        raise CommandError(f"The tenant “{tenant.name}” has not exactly one project: say which with --project.")
    return found[0]
