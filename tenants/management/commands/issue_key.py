"""`manage.py issue_key`: a new API key, printed once."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from changes.actor import Actor
from tenants.actions.keys import issue_key
from tenants.management.base import TenantCommand, project_named, tenant_named
from tenants.management.key_options import add_policy_options, given_policy


class Command(TenantCommand):
    help = "Issue an API key. It is printed once and kept nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        known = settings.SPENDOPS.environments
        parser.add_argument("--tenant", required=True, help="the tenant's id or name")
        parser.add_argument(
            "--project", default="", help="a project's id or name (may be left out if there is one only)"
        )
        parser.add_argument("--name", required=True, help="who or what will use the key")
        parser.add_argument("--env", choices=known, default=known[0], help=f"the environment (default: {known[0]})")
        add_policy_options(parser)

    def perform(self, *, by: Actor, **options: Any) -> tuple[dict[str, Any], str]:
        tenant = tenant_named(options["tenant"])
        issued = issue_key(
            tenant=tenant,
            project=project_named(tenant, options["project"]),
            name=options["name"],
            env=options["env"],
            by=by,
            **given_policy(tenant, options),
        )
        key = issued.key
        found = {
            "id": key.id,
            "key": issued.text,
            "name": key.name,
            "tenant": tenant.id,
            "project": key.project_id,
            "env": key.env,
            "gateway": settings.GATEWAY_URLS[key.env],
        }
        return found, f"{issued.text}\nThis is the only time the key is shown. Gateway: {found['gateway']}"
