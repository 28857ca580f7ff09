"""`manage.py import_overrides FILE --tenant T`: many overrides from a list, all of it or none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from changes.actor import Actor
from pricing.actions.overrides import import_overrides
from pricing.override_lists import COLUMNS, LINES_MOST, read_list
from tenants.management.base import TenantCommand, tenant_named


class Command(TenantCommand):
    help = (
        "Add overrides of list prices: all of a list or none. The list is CSV, a JSON array or JSON lines with the "
        f"columns {', '.join(COLUMNS)}; name and kind are needed. At most {LINES_MOST:,} at once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", help="the list, or - for what is piped in")
        parser.add_argument("--tenant", required=True, help="the tenant's id or name")
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")

    def perform(self, *, by: Actor, **options: Any) -> tuple[dict[str, Any], str]:
        tenant = tenant_named(options["tenant"])
        listed = read_list(_read(options["file"]), zone=ZoneInfo(tenant.time_zone), now=timezone.now())
        dry_run = options["dry_run"]
        rows = import_overrides(tenant=tenant, listed=listed, dry_run=dry_run, by=by)
        found = {
            "tenant": tenant.id,
            "dry_run": dry_run,
            "overrides": [{"id": "" if dry_run else row.pk, "name": row.name} for row in rows],
        }
        verb = "would be added" if dry_run else "added"
        return found, f"{len(rows):,} override{'' if len(rows) == 1 else 's'} of “{tenant.name}” {verb}."


def _read(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return raw.decode("utf-8")
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{name} is no text in UTF-8.") from error
