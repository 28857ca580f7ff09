"""`manage.py consume usage|denials`: a consumer, until SIGTERM."""

from __future__ import annotations

import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from spend.consumer import Consumer, DenialConsumer, UsageConsumer
from wire.queues.base import DENIALS, USAGE

KINDS: dict[str, tuple[str, type[Consumer]]] = {"usage": (USAGE, UsageConsumer), "denials": (DENIALS, DenialConsumer)}


class Command(BaseCommand):
    help = "Takes events from the queues into ClickHouse until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=sorted(KINDS))
        parser.add_argument("--env", action="append", help="an environment (may be repeated); all when left out")

    def handle(self, *args: Any, **options: Any) -> None:
        environments = options["env"] or settings.SPENDOPS.environments
        for name in environments:
            if name not in settings.SPENDOPS.environments:
                raise CommandError(
                    f"There is no environment {name!r}: choose {', '.join(settings.SPENDOPS.environments)}."
                )
        kind, consumer_of = KINDS[options["kind"]]
        queues = {name: settings.SPENDOPS.open_queue(kind, name) for name in environments}
        consumer = consumer_of(queues)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: consumer.stop())
        try:
            consumer.run()
        finally:
            for queue in queues.values():
                queue.close()
