"""`manage.py confirm_publish --env ENV [CODE]`: publish what a guard holds back."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from changes.actor import Actor
from publishing.actions.reconcile import confirm_publish
from publishing.errors import NotHeldError
from publishing.queries.held import held_entries


class Command(BaseCommand):
    help = "Publish exactly the document that is held with a code; without a code, say what is held."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--env", choices=settings.SPENDOPS.environments, required=True, help="the environment")
        parser.add_argument("code", nargs="?", default="", help="the code that stands beside what is held")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        env, code = options["env"], options["code"]
        if code:
            found: dict[str, Any] = {"confirmed": self._confirm(env, code)}
            text = f"Confirmed: {found['confirmed']} held documents are published now."
        else:
            held = held_entries(env)
            found = {
                "held": [{"store": each.store, "key": each.key, "code": each.held, "why": each.error} for each in held]
            }
            text = "\n".join(f"{each.store} {each.key}: {each.error}" for each in held) or f"Nothing is held in {env}."
        self.stdout.write(json.dumps(found) if options["json"] else text)

    def _confirm(self, env: str, code: str) -> int:
        try:
            return confirm_publish(env=env, code=code, by=Actor.system("manage.confirm_publish"))
        except NotHeldError as error:
            raise CommandError(str(error)) from error
