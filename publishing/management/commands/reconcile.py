"""`manage.py reconcile --env ENV`: is a store what SQL says? What is not is repaired."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from changes.actor import Actor
from publishing.errors import ReconcileBusyError
from publishing.management.stores import add_store_arguments, chosen_stores
from publishing.models import RECONCILE_COMMAND, Reconciliation
from publishing.reconcile.run import reconcile
from publishing.reconcile.words import sentence_of

_FAULTS = (Reconciliation.Status.HELD, Reconciliation.Status.FAILED)


class Command(BaseCommand):
    help = (
        "Compare the stores of an environment with SQL, and have the publisher send again what is not as it should be."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_store_arguments(parser, env_required=True)
        parser.add_argument("--dry-run", action="store_true", help="only say what differs")
        parser.add_argument("--confirm", default="", metavar="CODE", help="repair exactly the differences of this code")
        parser.add_argument("--json", action="store_true", help="print one line of JSON for each store")

    def handle(self, *args: Any, **options: Any) -> None:
        stores = chosen_stores(env=options["env"], store=options["store"])
        if options["confirm"] and len(stores) > 1:
            raise CommandError("A code confirms the differences of one store: say which with --store.")
        rows = []
        for store in stores:
            try:
                row = reconcile(
                    store, by=Actor.system(RECONCILE_COMMAND), dry=options["dry_run"], confirm=options["confirm"]
                )
            except ReconcileBusyError as error:
                raise CommandError(str(error)) from error
            rows.append(row)
            self.stdout.write(json.dumps(_told(row)) if options["json"] else sentence_of(row))
        if any(row.status in _FAULTS for row in rows):
            raise CommandError("Not every store is what SQL says.")


def _told(row: Reconciliation) -> dict[str, Any]:
    return {
        "env": row.env,
        "store": row.store,
        "status": row.status,
        "checked": row.checked,
        "absent": row.absent,
        "different": row.different,
        "foreign": row.foreign,
        "confirmation": row.confirmation,
        "examples": row.examples,
        "error": row.error,
    }
