"""`manage.py list_keys --tenant T`: a tenant's keys."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from changes.actor import Actor
from tenants.key_queries import KeyFilter, KeyState, find_keys
from tenants.management.base import TenantCommand, project_named, tenant_named


class Command(TenantCommand):
    help = "List a tenant's API keys, the newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        environments = settings.SPENDOPS.environments
        states = [each.value for each in KeyState]
        parser.add_argument("--tenant", required=True, help="the tenant's id or name")
        parser.add_argument("--env", default="", choices=["", *environments], help="only those of this environment")
        parser.add_argument("--status", default="", choices=["", *states], help="only those in this state")
        parser.add_argument("--project", default="", help="only those of this project (its id or name)")
        parser.add_argument("--search", default="", help="name, id, last four, owner, tag, or team=search")

    def perform(self, *, by: Actor, **options: Any) -> tuple[list[dict[str, Any]], str]:
        tenant = tenant_named(options["tenant"])
        project = project_named(tenant, options["project"]).pk if options["project"] else ""
        wanted = KeyFilter(text=options["search"], env=options["env"], status=options["status"], project=project)
        found = [
            {
                "id": key.id,
                "name": key.name,
                "env": key.env,
                "project": key.project_id,
                "owner": key.owner_id,
                "status": key.status,
                "last_four": key.last_four,
                "created_at": key.created_at.isoformat(),
                "expires_at": key.expires_at.isoformat() if key.expires_at else None,
                "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None,
            }
            for key in find_keys(tenant, wanted)
        ]
        lines = [f"{key['id']}  {key['env']:<6} {key['status']:<9} …{key['last_four']}  {key['name']}" for key in found]
        return found, "\n".join(lines) or f"The tenant “{tenant.name}” has no such keys."
