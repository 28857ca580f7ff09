"""`manage.py revoke_key ID`: the gateway refuses the key from now on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from changes.actor import Actor
from tenants.actions.keys import revoke_key
from tenants.management.base import TenantCommand
from tenants.management.key_options import key_named


class Command(TenantCommand):
    help = "Revoke an API key for ever."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("id", help="the key's public id: the 12 characters after so_ENV_")

    def perform(self, *, by: Actor, **options: Any) -> tuple[dict[str, Any], str]:
        key = key_named(options["id"])
        revoked = revoke_key(key=key, by=by)
        found = {
            "id": revoked.id,
            "name": revoked.name,
            "tenant": revoked.tenant_id,
            "status": revoked.status,
            "revoked_at": revoked.revoked_at.isoformat() if revoked.revoked_at else None,
        }
        return found, f"The key “{revoked.name}” ({revoked.id}) is revoked."
