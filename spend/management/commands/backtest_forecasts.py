"""How good forecasts would have been: made at past days, held against what followed."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from spend.clickhouse.errors import ClickHouseError
from spend.forecasts.fitting import LEAST
from spend.forecasts.run import FittingError, fitted_apart, histories_of
from tenants.models import Tenant

STEP_DAYS = 7


class Command(BaseCommand):
    """Prints a line an origin, and at the end the mean error and how often the interval held."""

    help = "Hold the forecasts that would have been made in past weeks against what followed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", default="", help="a tenant's id; all tenants when left out")
        parser.add_argument("--days", type=int, default=14, help="how far each forecast looks ahead")
        parser.add_argument("--origins", type=int, default=6, help="how many past days to forecast from, a week apart")
        parser.add_argument("--json", action="store_true", help="one JSON line")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] < 1 or options["origins"] < 1:
            raise CommandError("--days and --origins must be at least 1.")
        tenants = Tenant.objects.all()
        if options["tenant"]:
            tenants = tenants.filter(pk=options["tenant"])
        zones = dict(tenants.values_list("pk", "time_zone"))
        if not zones:
            raise CommandError("There is no such tenant: name it by its id.")
        try:
            rows = self._rows(zones, options["days"], options["origins"])
        except (ClickHouseError, FittingError) as error:
            raise CommandError(str(error)) from error
        held = sum(row["held"] for row in rows)
        errors = [row["off"] for row in rows if row["off"] is not None]
        mean = sum(errors) / len(errors) if errors else None
        if options["json"]:
            print(json.dumps({"forecasts": len(rows), "held": held, "mean_error": mean, "rows": rows}))
            return
        for row in rows:
            print(
                f"{row['tenant']}  {row['origin']}  {row['days']} days: {row['low']:.2f} to {row['high']:.2f},"
                f" middle {row['mid']:.2f}; came to {row['actual']:.2f}{'' if row['held'] else '  (outside)'}"
            )
        if not rows:
            print("No tenant has enough history.")
        else:
            said = "unknown" if mean is None else f"{mean:.1%}"
            print(f"{len(rows)} forecasts: the 80 % range held {held} times; mean error of the middle {said}.")

    def _rows(self, zones: dict[str, str], days: int, origins: int) -> list[dict[str, Any]]:
        asked = []
        for history in histories_of(zones):
            for number in range(origins):
                end = len(history.values) - days - number * STEP_DAYS
                if end >= LEAST and any(history.values[:end]):
                    asked.append((history, end))
        fitted = fitted_apart([history.values[:end] for history, end in asked], days=days) if asked else []
        rows = []
        for (history, end), each in zip(asked, fitted, strict=True):
            if each is None:
                continue
            actual = sum(history.values[end : end + days], Decimal(0))
            origin = history.today.toordinal() - (len(history.values) - end)
            rows.append(
                {
                    "tenant": history.tenant,
                    "origin": type(history.today).fromordinal(origin).isoformat(),
                    "days": days,
                    "low": each.low[-1],
                    "mid": each.mid[-1],
                    "high": each.high[-1],
                    "actual": float(actual),
                    "held": each.low[-1] <= actual <= each.high[-1],
                    "off": abs(each.mid[-1] - float(actual)) / float(actual) if actual else None,
                }
            )
        return rows
