"""`manage.py crosscheck_prices FILE`: list where another public table of prices disagrees with ours."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from changes.actor import Actor
from pricing.actions.crosscheck import cross_check
from pricing.actions.publish import as_json
from pricing.crosscheck import CrossCheckError, Disagreement
from wire.display import usd_exact

SHOWN = 50


class Command(BaseCommand):
    help = "Compare the price book with LiteLLM's model_prices JSON. Nothing is changed by it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the JSON file, as LiteLLM publishes it")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            row, result = cross_check(
                content=path.read_bytes(), table=path.name, by=Actor.system("manage.crosscheck_prices")
            )
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        except CrossCheckError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            about = {"table": row.table, "digest": row.digest, "at": row.at.isoformat(), "version": row.version}
            self.stdout.write(json.dumps(about | as_json(result)))
            return
        for each in result.disagreements[:SHOWN]:
            self.stdout.write(_line(each))
        if result.disagreeing > SHOWN:
            self.stdout.write(f"… and {result.disagreeing - SHOWN:,} more: --json lists them.")
        self.stdout.write(
            f"{result.disagreeing:,} of {result.compared:,} figures disagree. Of {result.listed:,} models "
            f"{result.matched:,} were found here, {result.unmatched:,} were not, {result.other_providers:,} are of "
            f"other providers; {result.ours_alone:,} models are ours alone; {result.not_compared:,} figures were not "
            "compared."
        )


def _line(each: Disagreement) -> str:
    where = "".join(
        [f", {each.tier}" if each.tier else "", f", above {each.above:,} tokens" if each.above else ""],
    )
    apart = "from nothing" if each.basis_points is None else _percent(each.basis_points)
    return (
        f"{each.provider}/{each.model} {each.unit}{where}: ours {usd_exact(each.ours)}, theirs {usd_exact(each.theirs)}"
        f" ({apart}, as {each.name})"
    )


def _percent(points: int) -> str:
    whole, hundredths = divmod(abs(points), 100)
    return f"{'+' if points > 0 else '-'}{whole:,}.{hundredths:02d} %"
