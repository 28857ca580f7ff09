"""`manage.py verify_spend`: sum the events up again and print where the rollup says otherwise (exit code 1)."""

from __future__ import annotations

import json
import sys
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from spend.clickhouse.errors import ClickHouseError
from spend.verifying import Difference, Verified, repair, tenants_with_spend, verify
from tenants.management.base import tenant_named
from wire.display import counted


class Command(BaseCommand):
    help = (
        "Hold the spend that pages show against the single calls it was summed up from, and print what differs. "
        "The exit code is 1 when anything does. With --repair those days are counted anew by the usage consumer."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", default="", help="one tenant, by its id or name; all when left out")
        parser.add_argument("--from", dest="first", type=_day, help="the first of the tenant's days (2026-11-01)")
        parser.add_argument("--to", dest="last", type=_day, help="the last day, included")
        parser.add_argument("--repair", action="store_true", help="mark the days that differ, to be counted anew")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["first"] and options["last"] and options["first"] > options["last"]:
            raise CommandError("--from is after --to: write the earlier day first.")
        whole = Verified(0, 0, 0, [])
        try:
            for tenant_id in [tenant_named(options["tenant"]).pk] if options["tenant"] else tenants_with_spend():
                for part in verify(tenant_id, options["first"], options["last"]):
                    whole = Verified(*(before + more for before, more in zip(whole, part, strict=True)))  # type: ignore[operator]
                    if not options["json"]:
                        for each in part.differences:
                            self.stdout.write(_in_words(each))
        except ClickHouseError as error:
            raise CommandError(str(error)) from error
        marked = repair(whole.differences) if options["repair"] and whole.differences else 0
        self.stdout.write(json.dumps(_as_json(whole, marked)) if options["json"] else _summary(whole, marked))
        if whole.differences:
            sys.exit(1)


def _in_words(each: Difference) -> str:
    group = " · ".join(value or "–" for value in each.group.values())
    return f"{each.tenant_id} {each.day} {group}: {each.measure} is {each.rollup}, and the calls say {each.events}"


def _summary(whole: Verified, marked: int) -> str:
    parts = [f"{counted(whole.days, 'day')} verified, {counted(len(whole.differences), 'difference')}."]
    if whole.waiting:
        parts.append(
            f"{counted(whole.waiting, 'day')} will be counted anew in any case and {_were(whole.waiting)} left out."
        )
    if whole.gone:
        parts.append(f"{counted(whole.gone, 'day')} {_were(whole.gone)} left out: older than single calls are kept.")
    if marked:
        parts.append(
            f"{counted(marked, 'day')} marked: the usage consumer counts {'it' if marked == 1 else 'them'} anew."
        )
    return " ".join(parts)


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _as_json(whole: Verified, marked: int) -> dict[str, Any]:
    return {
        "days": whole.days,
        "waiting": whole.waiting,
        "gone": whole.gone,
        "differences": [
            each._asdict() | {"day": each.day.isoformat(), "rollup": str(each.rollup), "events": str(each.events)}
            for each in whole.differences
        ],
        "marked": marked,
    }


def _day(text: str) -> date:
    return date.fromisoformat(text)
