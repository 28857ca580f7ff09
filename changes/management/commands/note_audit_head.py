"""`manage.py note_audit_head`: write the audit chain's present end to the file outside the database."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from changes.heads import note_head


class Command(BaseCommand):
    help = "Write down how many audit events there are, outside the database. The worker does so each hour."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            head = note_head()
        except OSError as error:
            raise CommandError(
                f"{settings.AUDIT_HEADS} cannot be written ({error.strerror}): make its folder writable, or name "
                "another place in SPENDOPS_AUDIT_HEADS."
            ) from error
        if options["json"]:
            found = {"seq": head.seq, "count": head.count, "digest": head.digest, "at": head.at.isoformat()}
            self.stdout.write(json.dumps(found))
        else:
            self.stdout.write(f"{head.count:,} events, noted in {settings.AUDIT_HEADS}")
