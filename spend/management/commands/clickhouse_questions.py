"""`manage.py clickhouse_questions [--kill PURPOSE | --kill-all]`: what runs in ClickHouse just now."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from spend.clickhouse.errors import ClickHouseError
from spend.clickhouse.questions import Question, running_questions, stop_questions


class Command(BaseCommand):
    help = "Lists the questions that ClickHouse works on for us, the longest first, or stops them."

    def add_arguments(self, parser: CommandParser) -> None:
        choice = parser.add_mutually_exclusive_group()
        choice.add_argument("--kill", metavar="PURPOSE", help="stop the questions of a purpose, such as “explore”")
        choice.add_argument("--kill-all", action="store_true", help="stop all of them; what changes something goes on")
        parser.add_argument("--json", action="store_true", help="print one JSON line")

    def handle(self, *args: Any, **options: Any) -> None:
        stops = options["kill_all"] or options["kill"] is not None
        try:
            found = stop_questions(options["kill"]) if stops else running_questions()
        except ClickHouseError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            named = "stopped" if stops else "running"
            self.stdout.write(json.dumps({named: [each._asdict() for each in found]}))
            return
        for each in found:
            self.stdout.write(f"{'stopped ' if stops else ''}{_line(each)}")
        if not found:
            self.stdout.write("Nothing like that runs." if options["kill"] else "Nothing runs.")


def _line(question: Question) -> str:
    whose = {"*": "all tenants", "": "a change"}.get(question.tenant, question.tenant)
    return (
        f"{question.seconds:8.1f} s  {question.purpose:24} {whose:18} {question.rows_read:>12,} rows read"
        f"  {question.memory_bytes / 2**20:8.1f} MiB  {question.query_id}"
    )
