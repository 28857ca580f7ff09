"""`manage.py import_prices FILE`: prices by hand from a table, all of them or none."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from changes.actor import Actor
from pricing.actions.by_hand import add_hand_prices
from pricing.queries import current_version
from pricing.typed import read_table, rows_of_file
from tenants.errors import ManyRefusedError, RefusedError

SHOWN = 50


class Command(BaseCommand):
    help = "Add prices by hand from a CSV or JSON table (docs/pricing.md has its columns): all of them, or none."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the table")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            table = read_table(rows_of_file(path.read_bytes()))
            rows = add_hand_prices(**table._asdict(), by=Actor.system("manage.import_prices"))
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        except ManyRefusedError as error:
            raise CommandError(_faults(error)) from error
        except RefusedError as error:
            raise CommandError(error.message) from error
        version = current_version()
        if options["json"]:
            self.stdout.write(json.dumps({"added": len(rows), "version": version}))
        else:
            self.stdout.write(f"{len(rows):,} prices added by hand: price book {version}.")


def _faults(error: ManyRefusedError) -> str:
    told = [f"Line {fault.line}: {fault.message}" for fault in error.faults[:SHOWN]]
    if len(error.faults) > SHOWN:
        told.append(f"… and {len(error.faults) - SHOWN:,} more.")
    return "\n".join([*told, "Nothing was changed."])
