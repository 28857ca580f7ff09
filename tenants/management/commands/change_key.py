"""`manage.py change_key ID …`: what a key may do, whose it is, until when it works."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from django.core.management.base import CommandError, CommandParser

from changes.actor import Actor
from tenants.actions.key_changes import change_key
from tenants.management.base import TenantCommand, project_named
from tenants.management.key_options import add_policy_options, given_policy, key_named
from tenants.policy import KeySettings, settings_of

CLEARABLE = sorted(each.name for each in fields(KeySettings) if each.name not in ("name", "project"))


class Command(TenantCommand):
    help = "Change an API key. What is left out stays; a list that is given takes the place of the old one."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("id", help="the key's public id: the 12 characters after so_ENV_")
        parser.add_argument("--name", help="who or what uses the key")
        parser.add_argument("--project", help="a project's id or name")
        add_policy_options(parser)
        parser.add_argument(
            "--clear", action="append", default=[], choices=CLEARABLE, metavar="FIELD", help=", ".join(CLEARABLE)
        )

    def perform(self, *, by: Actor, **options: Any) -> tuple[dict[str, Any], str]:
        key = key_named(options["id"])
        wanted = given_policy(key.tenant, options)
        if options["name"] is not None:
            wanted["name"] = options["name"]
        if options["project"]:
            wanted["project"] = project_named(key.tenant, options["project"]).pk
        both = sorted(wanted.keys() & set(options["clear"]))
        if both:
            raise CommandError(f"{both[0]} cannot be given and cleared at the same time: leave one of them out.")
        empty = KeySettings(name="", project="")
        wanted |= {name: getattr(empty, name) for name in options["clear"]}
        if not wanted:
            raise CommandError("Say what to change, like --rpm 600 or --clear expires_at.")
        changed = change_key(key=key, settings=replace(settings_of(key), **wanted), by=by)
        found = {"id": changed.id, "version": changed.version, **settings_of(changed).described()}
        told = "is as it was" if changed.version == key.version else "is changed"
        return found, f"The key “{changed.name}” ({changed.id}) {told}."
