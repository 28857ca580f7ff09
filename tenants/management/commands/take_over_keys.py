"""`manage.py take_over_keys FILE --tenant T`: keys of another system go on working, known by their SHA-256 only."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from changes.actor import Actor
from tenants.actions.takeover import take_over_keys
from tenants.management.base import TenantCommand, project_named, tenant_named
from tenants.takeover import COLUMNS, LINES_MOST, read_list


class Command(TenantCommand):
    help = (
        "Take over keys of another system: all of a list or none. The list is CSV or JSON lines with the columns "
        f"{', '.join(COLUMNS)}; name and sha256 are needed. At most {LINES_MOST:,} at once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", help="the list, or - for what is piped in")
        parser.add_argument("--tenant", required=True, help="the tenant's id or name")
        parser.add_argument("--project", default="", help="the project of lines that name none")
        parser.add_argument(
            "--env",
            default="",
            choices=["", *settings.SPENDOPS.environments],
            help="the environment of lines that name none",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")

    def perform(self, *, by: Actor, **options: Any) -> tuple[dict[str, Any], str]:
        tenant = tenant_named(options["tenant"])
        done = take_over_keys(
            tenant=tenant,
            listed=read_list(_read(options["file"]), zone=ZoneInfo(tenant.time_zone)),
            project=project_named(tenant, options["project"]) if options["project"] else None,
            env=options["env"],
            dry_run=options["dry_run"],
            by=by,
        )
        found = {
            "tenant": tenant.id,
            "dry_run": options["dry_run"],
            "taken_over": [
                {
                    "id": "" if options["dry_run"] else key.id,
                    "name": key.name,
                    "project": key.project_id,
                    "env": key.env,
                }
                for key in done.keys
            ],
            "skipped": [{"line": each.line, "id": each.key.id, "status": each.key.status} for each in done.skipped],
        }
        verb = "would be taken over" if options["dry_run"] else "taken over"
        lines = [f"{len(done.keys):,} keys {verb}, {len(done.skipped):,} are here already."]
        by_status = Counter(each.key.status for each in done.skipped)
        lines += [f"here already, {status}: {number:,}" for status, number in sorted(by_status.items())]
        return found, "\n".join(lines)


def _read(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return raw.decode("utf-8")
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{name} is no text in UTF-8.") from error
