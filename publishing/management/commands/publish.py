"""`manage.py publish`: the publisher's process."""

from __future__ import annotations

import json
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from publishing.publisher import Publisher
from publishing.queries import lag_of


class Command(BaseCommand):
    help = "Publish what changed in SQL to KV, at each commit, until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        known = settings.SPENDOPS.environments
        parser.add_argument("--once", action="store_true", help="publish what is due now, then end")
        parser.add_argument("--env", action="append", choices=known, help="only this environment (may be repeated)")
        parser.add_argument("--json", action="store_true", help="with --once: print the outcome as a line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        environments = options["env"] or list(settings.SPENDOPS.environments)
        publisher = Publisher.of_settings(environments)
        if options["once"]:
            self._once(publisher, environments, as_json=options["json"])
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        publisher.run(stop)

    def _once(self, publisher: Publisher, environments: list[str], *, as_json: bool) -> None:
        try:
            done = publisher.once()
        finally:
            publisher.close()
        lags = [lag_of(env) for env in environments]
        waiting = sum(lag.waiting for lag in lags)
        if as_json:
            self.stdout.write(json.dumps({"published": done.published, "failed": done.failed, "waiting": waiting}))
        else:
            self.stdout.write(f"{done.published} documents published, {waiting} waiting.")
        errors = sorted({lag.error for lag in lags if lag.error})
        if done.failed or errors:
            raise CommandError(" ".join(errors) or f"{done.failed} documents could not be written: see /publishing.")
