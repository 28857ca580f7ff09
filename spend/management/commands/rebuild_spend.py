"""`manage.py rebuild_spend`: count the rollup anew from the single calls, month by month."""

from __future__ import annotations

import json
import time
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from spend.clickhouse.errors import ClickHouseError
from spend.rebuilding import rebuild
from tenants.management.base import tenant_named
from wire.display import counted


class Command(BaseCommand):
    help = (
        "Count the spend that pages show anew from the single calls, month by month. Consumers may run meanwhile; "
        "broken off, it can be run again. Days older than single calls are kept stay as they are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", default="", help="one tenant, by its id or name; all when left out")
        parser.add_argument("--month", type=_month, help="one month (2026-11); all when left out")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant_id = tenant_named(options["tenant"]).pk if options["tenant"] else ""
        began, months = time.monotonic(), list[str]()
        try:
            for done in rebuild(tenant_id=tenant_id, month=options["month"]):
                months.append(f"{done.month:%Y-%m}")
                seconds = time.monotonic() - began
                self.stderr.write(f"{months[-1]}: {counted(done.tenants, 'tenant')}, {seconds:.1f} s")
        except ClickHouseError as error:
            raise CommandError(f"{error} {counted(len(months), 'month')} done; run it again for the others.") from error
        said = f"{counted(len(months), 'month')} counted anew."
        self.stdout.write(json.dumps({"months": months}) if options["json"] else said)


def _month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")
