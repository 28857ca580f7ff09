"""Scheduled work on prices."""

from __future__ import annotations

import structlog
from celery import shared_task

from changes.actor import Actor
from pricing.actions.sync import sync_prices as bring_up_to_date
from pricing.rates import actions as rates
from pricing.rates.base import RatesError
from pricing.rates.sources import sources
from pricing.sources import INSTALLED
from pricing.sources.base import SourceError

log = structlog.get_logger(__name__)


@shared_task
def sync_prices() -> None:
    """Compare the installed source with the price book. A broken source changes nothing and is logged."""
    source = INSTALLED
    try:
        synced = bring_up_to_date(source, by=Actor.system("pricing.sync"))
    except SourceError as error:
        log.error("prices.sync_failed", source=source.name, reason=str(error))
        raise
    log.info("prices.synced", source=source.name, version=synced.book.version, changed=synced.changed)
    if synced.waiting is not None:
        log.warning("prices.changes_wait", change_set=synced.waiting.pk, reason=synced.waiting.reason)


@shared_task
def sync_rates() -> None:
    """Add the exchange rates of the last days. When no source can be read, what is kept stays and it is logged."""
    try:
        done = rates.sync_rates(sources(), by=Actor.system("pricing.rates"))
    except RatesError as error:
        log.error("rates.sync_failed", reason=str(error))
        raise
    log.info("rates.synced", source=done.source, added=done.added, last_day=str(done.last_day))
