"""Scheduled work: comparing stores with SQL, repairing what a person confirmed, backups, forgetting old versions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from changes.actor import Actor
from publishing import history
from publishing.backup.making import back_up, is_due
from publishing.errors import BackupError, ReconcileBusyError
from publishing.models import Comparison, Reconciliation
from publishing.reconcile.run import latest, prune, reconcile
from wire.kv.stores import Store

log = structlog.get_logger(__name__)

RECONCILE = Actor.system("publishing.reconcile")
TRIED_AGAIN = timedelta(minutes=5)


@shared_task
def reconcile_stores() -> None:
    """Compare every store with SQL and repair it. What cannot be compared now is compared in an hour."""
    for store in _stores():
        _reconcile(store)
    prune()


@shared_task
def repair_confirmed() -> None:
    """Repair the stores whose held differences a person has confirmed since."""
    for store in _stores():
        last = latest(store.env, store.id)
        if last is None or last.status != Reconciliation.Status.HELD or last.confirmed_at is None:
            continue
        since = max(last.confirmed_at, timezone.now() - TRIED_AGAIN)  # a store may be away just then
        if not Reconciliation.objects.filter(env=store.env, store=store.id, at__gt=since).exists():
            _reconcile(store)


@shared_task
def compare_as_asked() -> None:
    """Compare the stores that somebody asked about, repairing nothing. One that is busy is compared when it is free."""
    for asked in Comparison.objects.order_by("id"):
        store = next((each for each in _stores() if (each.env, each.id) == (asked.env, asked.store)), None)
        if store is not None:
            try:
                reconcile(store, by=Actor(asked.by_kind, asked.by_id), dry=True)
            except ReconcileBusyError as error:
                log.info("A store is being compared already", env=store.env, store=store.id, error=str(error))
                continue
        asked.delete()


@shared_task
def back_up_stores() -> None:
    """Back up every namespace whose newest backup is a week old."""
    for store in _stores():
        if is_due(store):
            try:
                back_up(store)
            except BackupError as error:
                log.error("A namespace could not be backed up", env=store.env, store=store.id, error=str(error))


@shared_task
def forget_old_versions() -> None:
    """Delete what no gateway has been told for 90 days."""
    history.forget_old_versions()


def _stores() -> Iterator[Store]:
    for stores in settings.SPENDOPS.stores.values():
        yield from stores


def _reconcile(store: Store) -> None:
    try:
        reconcile(store, by=RECONCILE)
    except ReconcileBusyError as error:
        log.info("A store is being compared already", env=store.env, store=store.id, error=str(error))
