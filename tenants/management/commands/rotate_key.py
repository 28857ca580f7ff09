"""`manage.py rotate_key ID`: a new key in place of an old one, printed once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser

from changes.actor import Actor
from tenants.actions.keys import rotate_key
from tenants.management.base import TenantCommand
from tenants.management.key_options import key_named


class Command(TenantCommand):
    help = "Issue a key in place of another one, which works for a while longer. It is printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("id", help="the old key's public id: the 12 characters after so_ENV_")
        parser.add_argument("--grace-hours", type=int, default=24, help="how long the old key works (default: 24)")

    def perform(self, *, by: Actor, **options: Any) -> tuple[dict[str, Any], str]:
        old = key_named(options["id"])
        issued = rotate_key(key=old, grace=timedelta(hours=options["grace_hours"]), by=by)
        old.refresh_from_db()
        ends = old.expires_at.isoformat() if old.expires_at else None
        found = {"id": issued.key.id, "key": issued.text, "replaces": old.id, "old_key_works_until": ends}
        return found, f"{issued.text}\nThis is the only time the key is shown. The old one works until {ends}."
