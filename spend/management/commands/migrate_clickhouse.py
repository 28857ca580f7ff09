"""`manage.py migrate_clickhouse [--plan|--check]`: bring ClickHouse's schema up to date."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from spend.clickhouse.errors import ClickHouseError
from spend.clickhouse.migrate import EditedMigrationError, migrate, plan


class Command(BaseCommand):
    help = "Runs the ClickHouse migrations that are pending."

    def add_arguments(self, parser: CommandParser) -> None:
        choice = parser.add_mutually_exclusive_group()
        choice.add_argument("--plan", action="store_true", help="print the SQL that would be run, and run nothing")
        choice.add_argument("--check", action="store_true", help="exit with 1 when something is pending or was edited")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["plan"] or options["check"]:
                self._show(check=options["check"])
                return
            ran = migrate()
        except (ClickHouseError, EditedMigrationError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write("\n".join(f"✓ {name}" for name in ran) or "ClickHouse's schema is up to date.")

    def _show(self, *, check: bool) -> None:
        found = plan()
        pending = [*found.pending, *found.retention]
        for migration in pending:
            self.stdout.write(f"-- {migration.name}\n" + ("" if check else f"{migration.rendered};\n"))
        if check and (pending or found.edited):
            edited = f" Edited after they were run: {', '.join(found.edited)}." if found.edited else ""
            raise CommandError(f"{len(pending)} ClickHouse migrations are pending.{edited}")
        if not pending:
            self.stdout.write("ClickHouse's schema is up to date.")
