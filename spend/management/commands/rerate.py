"""`manage.py rerate`: price past calls anew. A dry run says what would change; without --dry-run it is applied."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from changes.actor import Actor
from pricing.queries import current_version
from spend.models import Rerating
from spend.rerating.actions import apply_dry_run, start_dry_run
from spend.rerating.queries import finished_dry_run, found_by
from spend.rerating.run import work_off
from spend.rerating.scope import in_words
from tenants.errors import RefusedError
from tenants.management.base import tenant_named
from wire.display import counted, usd

BY = Actor.system("manage.rerate")


class Command(BaseCommand):
    help = (
        "Price past calls anew. First with --dry-run: it says what would change and writes nothing. "
        "Then the same without it, which applies the last finished dry run of the same calls."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="first", required=True, type=_day, help="the first day, in UTC (2026-11-01)")
        parser.add_argument("--to", dest="last", required=True, type=_day, help="the last day, in UTC, included")
        parser.add_argument("--tenant", default="", help="one tenant's calls only, by its id or name")
        parser.add_argument("--provider", default="", help="calls of this provider only")
        parser.add_argument("--model", default="", help="calls of this model only, as asked for or as priced")
        parser.add_argument("--unpriced-only", action="store_true", help="calls without a price only")
        parser.add_argument("--dry-run", action="store_true", help="only say what would change")
        parser.add_argument("--wait", action="store_true", help="do the work here, until it is done; shows progress")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        scope: dict[str, Any] = {
            "begin": datetime.combine(options["first"], clock(), UTC),
            "end": datetime.combine(options["last"] + timedelta(days=1), clock(), UTC),
            "tenant_id": tenant_named(options["tenant"]).pk if options["tenant"] else "",
            "provider": options["provider"],
            "model": options["model"],
            "unpriced_only": options["unpriced_only"],
        }
        try:
            job = start_dry_run(**scope, by=BY) if options["dry_run"] else self._applied(scope)
        except RefusedError as error:
            raise CommandError(error.message) from error
        if options["wait"]:
            work_off(job.pk, told=_Progress(self.stderr))
            job.refresh_from_db()
        self.stdout.write(json.dumps(_said(job)) if options["json"] else _sentence(job))
        if job.status == Rerating.Status.FAILED:
            raise CommandError(job.error)

    def _applied(self, scope: dict[str, Any]) -> Rerating:
        dry = finished_dry_run(Rerating(price_version=current_version(), **scope))
        if dry is None:
            raise CommandError(
                "There is no finished dry run of exactly these calls with the prices that hold now. "
                "Run the same with --dry-run --wait first, and look at what it says."
            )
        return apply_dry_run(dry_run=dry, by=BY)


class _Progress:
    """A line each second at most, beside what is printed in the end."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._next = 0.0

    def __call__(self, job: Rerating) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 1
            self._out.write(f"{job.events:,} of about {job.total or 0:,} calls, {job.changed:,} changed")


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _said(job: Rerating) -> dict[str, Any]:
    found = found_by(job)
    return {
        "id": job.pk,
        "dry_run": job.dry,
        "status": job.status,
        "price_version": job.price_version,
        "events": job.events,
        "changed": job.changed,
        "error": job.error,
        "sums": found.whole.stored(),
        "tenants": {tenant: sums.stored() for tenant, _, sums in found.tenants},
    }


def _sentence(job: Rerating) -> str:
    what = "Dry run" if job.dry else "Re-rating"
    if job.status != Rerating.Status.DONE:
        return f"{what} {job.pk} is {job.status}: {in_words(job)}."
    whole = found_by(job).whole
    change = "would change" if job.dry else "changed"
    return (
        f"{what} {job.pk} is done: {in_words(job)}.\n"
        f"{counted(whole.changed, 'call')} of {whole.events:,} {change}: the charge from {usd(whole.charge_before)} to "
        f"{usd(whole.charge_after)}; unpriced before {whole.unpriced_before:,}, after {whole.unpriced_after:,}."
    )
