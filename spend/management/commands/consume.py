"""`manage.py consume usage|denials`: a consumer, until SIGTERM. With `--redeliver-dead` it only puts events back."""

from __future__ import annotations

import gc
import signal
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from spend.consumer import Consumer, DenialConsumer, UsageConsumer
from wire.display import counted
from wire.queues.base import DENIALS, USAGE, Queue

KINDS: dict[str, tuple[str, type[Consumer]]] = {"usage": (USAGE, UsageConsumer), "denials": (DENIALS, DenialConsumer)}
_OBJECTS_UNTIL_COLLECTION = 100_000


class Command(BaseCommand):
    help = "Takes events from the queues into ClickHouse until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=sorted(KINDS))
        parser.add_argument("--env", action="append", help="an environment (may be repeated); all when left out")
        parser.add_argument(
            "--store-only",
            action="store_true",
            help="for usage: help another consumer, on a second core; it stores events, and the other counts the days",
        )
        parser.add_argument(
            "--redeliver-dead",
            action="store_true",
            help="put events that were set aside back into their queues for the running consumers, and end",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        environments = options["env"] or settings.SPENDOPS.environments
        for name in environments:
            if name not in settings.SPENDOPS.environments:
                raise CommandError(
                    f"There is no environment {name!r}: choose {', '.join(settings.SPENDOPS.environments)}."
                )
        if options["store_only"] and options["kind"] != "usage":
            raise CommandError("--store-only is for usage: nothing is counted of denials.")
        kind, consumer_of = KINDS[options["kind"]]
        queues = {name: settings.SPENDOPS.open_queue(kind, name) for name in environments}
        try:
            if options["redeliver_dead"]:
                self._redeliver(queues)
            else:
                self._consume(UsageConsumer(queues, counts=False) if options["store_only"] else consumer_of(queues))
        finally:
            for queue in queues.values():
                queue.close()

    def _redeliver(self, queues: Mapping[str, Queue]) -> None:
        for env, queue in queues.items():
            self.stdout.write(f"{env}: {counted(queue.redeliver_dead(), 'event')} put back.")

    @staticmethod
    def _consume(consumer: Consumer) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: consumer.stop())
        # events come by the thousand and hold no circles: there is little to find among them
        gc.freeze()
        gc.set_threshold(_OBJECTS_UNTIL_COLLECTION)
        consumer.run()
