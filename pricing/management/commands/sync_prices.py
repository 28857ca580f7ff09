"""`manage.py sync_prices`: bring list prices from their source into the price book."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from changes.actor import Actor
from pricing.actions import Synced, sync_prices
from pricing.sources import INSTALLED
from pricing.sources.base import SourceError


class Command(BaseCommand):
    help = "Bring list prices from their source into the price book. The same prices again make no new version."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one line of JSON")
        parser.add_argument(
            "--accept-fewer", action="store_true", help="sync even when more than a tenth of the models is gone"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            synced = sync_prices(INSTALLED, by=Actor.system("manage.sync_prices"), accept_fewer=options["accept_fewer"])
        except SourceError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(_counts(synced)) if options["json"] else _sentence(synced))


def _counts(synced: Synced) -> dict[str, Any]:
    book = synced.book
    return {
        "version": book.version,
        "changed": synced.changed,
        "source": book.source,
        "source_version": book.source_version,
        "models": book.model_count,
        "providers": book.provider_count,
        "prices": book.figure_count,
        "rounded": book.rounded_count,
        "unexpressed": book.unexpressed_count,
        "new": synced.new_prices,
        "changed_models": synced.changed_prices,
        "gone": synced.gone_prices,
        "digest": book.digest,
    }


def _sentence(synced: Synced) -> str:
    book = synced.book
    changes = (
        f"{synced.new_prices:,} models new, {synced.changed_prices:,} changed, {synced.gone_prices:,} gone"
        if synced.changed
        else "nothing changed"
    )
    return (
        f"{book.model_count:,} models of {book.provider_count:,} providers, {book.figure_count:,} prices, "
        f"{book.rounded_count:,} rounded, {book.unexpressed_count:,} not expressed (the pricing page lists them).\n"
        f"Price book {book.version} from {book.source} {book.source_version}: {changes}."
    )
