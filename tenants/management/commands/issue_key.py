"""`manage.py issue_key`: a new API key, printed once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from changes.actor import Actor
from tenants.actions.keys import issue_key
from tenants.management.base import TenantCommand, project_named, tenant_named


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
        parser.add_argument(
            "--expires-at", help="until when it works, such as 2027-06-30T18:00+02:00 (default: for ever)"
        )
        parser.add_argument("--allow", action="append", default=[], metavar="MODEL", help="only these models (gpt-4o*)")
        parser.add_argument("--deny", action="append", default=[], metavar="MODEL", help="not these models")

    def perform(self, *, by: Actor, **options: Any) -> tuple[dict[str, Any], str]:
        tenant = tenant_named(options["tenant"])
        issued = issue_key(
            tenant=tenant,
            project=project_named(tenant, options["project"]),
            name=options["name"],
            env=options["env"],
            expires_at=_moment(options["expires_at"]),
            allowed_models=_named("--allow", options["allow"]),
            denied_models=_named("--deny", options["deny"]),
            by=by,
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


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is not a moment: write it like 2027-06-30T18:00+02:00.") from error
    return moment if moment.tzinfo else timezone.make_aware(moment)


def _named(option: str, names: list[str]) -> list[str]:
    """An empty name, as from a variable that is not set, must not come to mean "every model"."""
    if any(not name.strip() for name in names):
        raise CommandError(f"{option} needs the name of a model: leave the option out to name none.")
    return names
