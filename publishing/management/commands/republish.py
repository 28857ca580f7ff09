"""`manage.py republish`: have everything of an environment published anew."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from changes.actor import Actor
from publishing.errors import RepublishError
from publishing.models import Republish
from publishing.republish import start_republish, stop_republish


class Command(BaseCommand):
    help = "Have the running publisher send every document of an environment again, at a higher rev. Deletes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--env", required=True, choices=settings.SPENDOPS.environments)
        parser.add_argument("--stop", action="store_true", help="stop the one that is under way")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        act = stop_republish if options["stop"] else start_republish
        try:
            found = act(env=options["env"], by=Actor.system("manage.republish"))
        except RepublishError as error:
            raise CommandError(str(error)) from error
        told = {"id": found.pk, "env": found.env, "status": found.status, "done": found.done, "total": found.total}
        self.stdout.write(json.dumps(told) if options["json"] else _sentence(found))


def _sentence(found: Republish) -> str:
    if found.status == Republish.Status.STOPPED:
        return f"Stopped after {found.done:,} of {found.total:,} documents."
    return f"{found.total:,} documents of {found.env} are published anew; /publishing shows how far it is."
