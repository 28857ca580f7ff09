"""`manage.py kv_restore FILE --env ENV`: a backup back into a namespace, which is then compared with SQL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from changes.actor import Actor
from publishing.backup.restoring import restore
from publishing.errors import BackupError, ReconcileBusyError
from publishing.management.stores import add_store_arguments, chosen_stores
from publishing.models import Reconciliation
from publishing.reconcile.run import reconcile
from publishing.reconcile.words import sentence_of


class Command(BaseCommand):
    help = "Put a backup into an empty KV namespace, without bringing back what was revoked since."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a file that kv_backup wrote")
        add_store_arguments(parser, env_required=True)
        parser.add_argument(
            "--force", action="store_true", help="also into one that is not empty: newer documents stay"
        )
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        env = options["env"]
        stores = chosen_stores(env=env, store=options["store"])
        if len(stores) != 1:
            raise CommandError(f"{env} has {len(stores)} stores: say which with --store.")
        by = Actor.system("manage.kv_restore")
        again = f"manage.py reconcile --env {env} --store {stores[0].id}"
        try:
            done = restore(options["file"], stores[0], by=by, force=options["force"])
            row = reconcile(stores[0], by=by)
        except BackupError as error:
            raise CommandError(str(error)) from error
        except ReconcileBusyError as error:
            raise CommandError(f"The backup is restored, but not compared with SQL: run {again}.") from error
        if options["json"]:
            compared = {"status": row.status, "confirmation": row.confirmation, "error": row.error}
            self.stdout.write(json.dumps(done._asdict() | {"reconciliation": compared}))
        else:
            self.stdout.write(
                f"{done.written:,} documents and deletions restored, {done.outdated:,} left out because SQL has said "
                f"something newer since, {done.kept:,} left as they were because the namespace has newer ones.\n"
                f"{sentence_of(row)}\nOnce the publisher has sent that, {again} finds nothing more."
            )
        if row.status in (Reconciliation.Status.HELD, Reconciliation.Status.FAILED):
            raise CommandError(f"The restored namespace is not yet what SQL says: {row.error} Then run {again}.")
