"""`manage.py evaluate_budgets`: ticks of the evaluator, without a worker."""

from __future__ import annotations

import json
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from budgets.evaluator import Tick, evaluate


class Command(BaseCommand):
    help = "Compare spend with all active budgets: again and again, or once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="one tick, then stop; fails when spend cannot be read")
        parser.add_argument("--json", action="store_true", help="print one line of JSON a tick")

    def handle(self, *args: Any, **options: Any) -> None:
        while True:
            tick = evaluate()
            self.stdout.write(json.dumps(tick.as_json()) if options["json"] else _worded(tick))
            if options["once"]:
                break
            time.sleep(settings.BUDGET_TICK_SECONDS)
        if tick.error or tick.failed:
            raise CommandError(tick.error or f"{tick.failed} budgets failed: the log says why.")


def _worded(tick: Tick) -> str:
    if tick.error:
        return tick.error
    return (
        f"{tick.evaluated} evaluated, {tick.crossed} crossed a threshold, {tick.exhausted} used up, "
        f"{tick.recovered} recovered, {tick.overtaken} overtaken, {tick.failed} failed."
    )
