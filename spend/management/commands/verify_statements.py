"""`manage.py verify_statements [--tenant ID] [--json]`: whether sealed months are still what their statements say."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from spend.clickhouse.errors import ClickHouseError
from spend.closing.verify import differences
from spend.models import Statement
from tenants.scope import across_tenants


class Command(BaseCommand):
    help = (
        "Counts every sealed month from its events again, and compares it with the statement that was stored: figures, "
        "checksums, the PDF. Ends with 1 when anything differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", default="", help="the id of a tenant; all when left out")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        found, number = [], 0
        with across_tenants("statements of all tenants are verified"):
            rows = Statement.objects.order_by("tenant_id", "month")
            rows = rows.filter(tenant_id=options["tenant"]) if options["tenant"] else rows
            for statement in rows.iterator(chunk_size=20):
                number += 1
                try:
                    wrong = differences(statement)
                except ClickHouseError as error:
                    raise CommandError(f"{error} Nothing can be verified.") from error
                found += [{"statement": str(statement), "difference": each} for each in wrong]
        if options["json"]:
            self.stdout.write(json.dumps({"statements": number, "differences": found}))
        else:
            for each in found:
                self.stdout.write(f"{each['statement']}: {each['difference']}")
            self.stdout.write(f"{number} statements verified, {len(found)} differences.")
        if found:
            raise SystemExit(1)
