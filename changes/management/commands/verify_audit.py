"""`manage.py verify_audit`: is the audit trail what was written, and all of it?"""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from changes.verify import verify_trail


class Command(BaseCommand):
    help = "Check the chain of audit events against itself and against the heads kept outside. Exits 1 at a fault."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        verdict = verify_trail()
        if options["json"]:
            self.stdout.write(json.dumps(verdict._asdict()))
        elif not verdict.whole:
            self.stdout.write(f"The audit trail does not hold. {verdict.why}")
        elif verdict.heads:
            self.stdout.write(f"The audit trail is whole: {verdict.events:,} events, {verdict.heads:,} heads agree.")
        else:
            self.stdout.write(
                f"The chain of {verdict.events:,} events holds, but there are no heads to show that none was cut off: "
                "run manage.py note_audit_head, and keep the worker running, which does so each hour."
            )
        if not verdict.whole:
            sys.exit(1)
