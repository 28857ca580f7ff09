"""`manage.py sync_prices`: compare list prices with their source, publish what is small, approve what waits."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from changes.actor import Actor
from pricing.actions.changes import approve_sync
from pricing.actions.sync import Synced, sync_prices
from pricing.queries import waiting_sync
from pricing.sources import INSTALLED
from pricing.sources.base import SourceError
from tenants.errors import RefusedError

BY = Actor.system("manage.sync_prices")


class Command(BaseCommand):
    help = "Compare list prices with their source. Small changes are published, large ones wait for a person."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one line of JSON")
        parser.add_argument(
            "--accept", metavar="SYNC_DIGEST", help="compare nothing; publish the change set that waits, if this is it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            synced = _accept(options["accept"]) if options["accept"] else sync_prices(INSTALLED, by=BY)
        except (SourceError, RefusedError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(_counts(synced)) if options["json"] else _sentence(synced))


def _accept(digest: str) -> Synced:
    waiting = waiting_sync()
    if waiting is None:
        raise CommandError("No change set waits: there is nothing to accept.")
    book = approve_sync(sync=waiting, digest=digest, by=BY)
    return Synced(book, True, waiting.new_count, waiting.changed_count, waiting.gone_count)


def _counts(synced: Synced) -> dict[str, Any]:
    book, waiting = synced.book, synced.waiting
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
        "waiting": {"change_set": waiting.pk, "digest": waiting.digest, "reason": waiting.reason} if waiting else None,
    }


def _sentence(synced: Synced) -> str:
    book = synced.book
    changes = (
        f"{synced.new_prices:,} models new, {synced.changed_prices:,} changed, {synced.gone_prices:,} gone"
        if synced.changed
        else "nothing changed"
    )
    waits = (
        f"\nChange set {synced.waiting.pk} waits for a person: {synced.waiting.reason} Look at it on the pricing page; "
        f"to publish it from here: manage.py sync_prices --accept {synced.waiting.digest}"
        if synced.waiting
        else ""
    )
    return (
        f"{book.model_count:,} models of {book.provider_count:,} providers, {book.figure_count:,} prices, "
        f"{book.rounded_count:,} rounded, {book.unexpressed_count:,} not expressed (the pricing page lists them).\n"
        f"Price book {book.version} from {f'{book.source} {book.source_version}'.strip()}: {changes}.{waits}"
    )
