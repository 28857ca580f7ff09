"""`manage.py sync_rates`: bring exchange rates from their source."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from changes.actor import Actor
from pricing.rates.actions import sync_rates
from pricing.rates.base import RatesError
from pricing.rates.sources import sources


class Command(BaseCommand):
    help = "Add the exchange rates that were published since the last time. What is kept is never changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one line of JSON")
        parser.add_argument("--offline", action="store_true", help="take the bundled history, ask no network")
        parser.add_argument("--accept-leaps", action="store_true", help="believe rates that moved by more than half")

    def handle(self, *args: Any, **options: Any) -> None:
        by = Actor.system("manage.sync_rates")
        try:
            done = sync_rates(sources(offline=options["offline"]), by=by, accept_leaps=options["accept_leaps"])
        except RatesError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            told = {"added": done.added, "last_day": str(done.last_day), "source": done.source, "failed": done.failed}
            self.stdout.write(json.dumps(told))
            return
        for reason in done.failed:
            self.stderr.write(f"Not used: {reason}")
        self.stdout.write(f"{done.added:,} rates added from {done.source}; the newest are of {done.last_day}.")
