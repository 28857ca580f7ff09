"""`manage.py list_keys --tenant T`: a tenant's keys."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from changes.actor import Actor
from tenants.key_queries import KeyFilter, find_keys
from tenants.management.base import TenantCommand, tenant_named
from tenants.models import ApiKey


class Command(TenantCommand):
    help = "List a tenant's API keys, the newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tenant", required=True, help="the tenant's id or name")
        parser.add_argument("--env", default="", help="only those of this environment")
        parser.add_argument(
            "--status", default="", choices=["", *ApiKey.Status.values], help="only those in this state"
        )

    def perform(self, *, by: Actor, **options: Any) -> tuple[list[dict[str, Any]], str]:
        tenant = tenant_named(options["tenant"])
        keys = find_keys(tenant, KeyFilter(env=options["env"], status=options["status"]))
        found = [
            {
                "id": key.id,
                "name": key.name,
                "env": key.env,
                "project": key.project_id,
                "status": key.status,
                "last_four": key.last_four,
                "created_at": key.created_at.isoformat(),
                "expires_at": key.expires_at.isoformat() if key.expires_at else None,
            }
            for key in keys
        ]
        lines = [f"{key['id']}  {key['env']:<6} {key['status']:<9} …{key['last_four']}  {key['name']}" for key in found]
        return found, "\n".join(lines) or f"The tenant “{tenant.name}” has no such keys."
