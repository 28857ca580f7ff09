"""`manage.py disable_key ID`: the gateway refuses the key until it is enabled again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from changes.actor import Actor
from tenants.actions.keys import disable_key
from tenants.management.base import TenantCommand
from tenants.management.key_options import key_named


class Command(TenantCommand):
    help = "Let an API key rest: calls with it are refused until it is enabled again."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("id", help="the key's public id: the 12 characters after so_ENV_")

    def perform(self, *, by: Actor, **options: Any) -> tuple[dict[str, Any], str]:
        key = disable_key(key=key_named(options["id"]), by=by)
        found = {"id": key.id, "name": key.name, "tenant": key.tenant_id, "status": key.status}
        return found, f"The key “{key.name}” ({key.id}) is disabled."
