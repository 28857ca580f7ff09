"""`manage.py kv_backup`: each namespace into a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from publishing.backup.making import back_up
from publishing.errors import BackupError
from publishing.management.stores import add_store_arguments, chosen_stores


class Command(BaseCommand):
    help = "Write the documents of each KV namespace into a file of its own."

    def add_arguments(self, parser: CommandParser) -> None:
        add_store_arguments(parser, env_required=False)
        parser.add_argument(
            "--to", default="", metavar="FOLDER", help="write into this folder and delete nothing there"
        )
        parser.add_argument("--json", action="store_true", help="print one line of JSON for each file")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(options["to"]).expanduser().resolve() if options["to"] else None
        errors = []
        for store in chosen_stores(env=options["env"], store=options["store"]):
            try:
                made = back_up(store, folder=folder)
            except BackupError as error:
                errors.append(str(error))
                continue
            if options["json"]:
                self.stdout.write(json.dumps(made._asdict() | {"path": str(made.path)}))
            else:
                self.stdout.write(
                    f"{made.env} {made.store}: {made.documents:,} documents and {made.deletions:,} deletions in "
                    f"{made.path} ({made.size:,} bytes)."
                )
        if errors:
            raise CommandError(" ".join(errors))
