"""Syncs: what a source lists is compared with the price book; small changes are published, large ones wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from pricing.actions.catalogue import describe_catalogue
from pricing.actions.changes import apply_changes, hands, write_changes
from pricing.actions.publish import Draft, Origin, PricesBusyError
from pricing.changeset import CHANGED, GONE, NEW, Band, Change, changes_of, digest_of
from pricing.models import PriceBook, PriceSync
from pricing.sources.base import Catalogue, Source, SourceError, check

log = structlog.get_logger(__name__)

_Status = PriceSync.Status


class SyncRefusedError(SourceError):
    """Another sync was writing at the same time; nothing was changed."""


class Synced(NamedTuple):
    """What a sync did: the price book that holds now, and how many models' prices in it are new, changed or gone.

    `waiting` is the change set that waits for a person, whether this sync made it or an earlier one.
    """

    book: PriceBook
    changed: bool
    new_prices: int = 0
    changed_prices: int = 0
    gone_prices: int = 0
    waiting: PriceSync | None = None


def sync_prices(source: Source, *, by: Actor) -> Synced:
    """Compare a source with the price book and publish what is small; see `pricing.changeset` for what waits.

    The first sync publishes everything. Raises SourceError when the source is empty or broken: nothing is changed then,
    and a row of PriceSync says so; and SyncRefusedError when another sync wrote at the same time.
    """
    now = timezone.now()
    try:
        catalogue = source.read()
        check(catalogue)
    except SourceError as error:
        PriceSync.objects.create(source=source.name, status=_Status.FAILED, reason=str(error)[:2000], at=now)
        raise
    try:
        with transaction.atomic():
            return _sync(catalogue, by, now)
    except (IntegrityError, PricesBusyError) as error:
        raise SyncRefusedError(
            "Another sync was writing at the same time: nothing was changed. Run it again."
        ) from error


def _sync(catalogue: Catalogue, by: Actor, now: datetime) -> Synced:
    draft = Draft()
    first = draft.latest is None
    band = Band(settings.PRICE_BAND_PERCENT, settings.PRICE_CHANGES_MOST)
    changes = changes_of(catalogue, draft.held, draft.held_rules, hands(), band=band, today=now.date())
    small = changes if first else [change for change in changes if not change.reason]
    large = [] if first else [change for change in changes if change.reason]
    urls = {provider.id: next(iter(provider.pricing_urls), "") for provider in catalogue.providers}
    small = apply_changes(
        draft, small, origin=Origin(catalogue.source, catalogue.source_version), urls=urls, today=now.date(), rest=large
    )
    _in_order(draft, catalogue)
    described = describe_catalogue(catalogue, now, held=draft.prices.keys())
    new, changed, gone = (sum(1 for each in small if each.kind == kind) for kind in (NEW, CHANGED, GONE))
    if draft.changed:
        book = draft.publish_book(
            "prices.synced",
            origin=Origin(catalogue.source, catalogue.source_version),
            report=catalogue.report,
            by=by,
            now=now,
            after={"new": new, "changed": changed, "gone": gone},
        )
    else:
        book = PriceBook.objects.latest()  # there is one: an empty catalogue is refused, so the first sync makes it
        # when a source was last asked is no change of anything: it leaves no audit event behind
        PriceBook.objects.filter(version=book.version).update(checked_at=now)
        book.checked_at = now
        if described:
            _record_description(book, described, by)
    sync = _keep(catalogue, small, large, book if draft.changed else None, by, now, rows=not first, urls=urls)
    waiting = sync if sync.status == _Status.WAITING else PriceSync.objects.filter(status=_Status.WAITING).first()
    return Synced(book, draft.changed, new, changed, gone, waiting)


def _in_order(draft: Draft, catalogue: Catalogue) -> None:
    """Providers in the source's order, which decides whose models an unknown name is; those of persons come last."""
    listed = [provider.id for provider in catalogue.providers if provider.id in draft.rules]
    draft.rules = {name: draft.rules[name] for name in dict.fromkeys((*listed, *draft.rules))}


def _keep(
    catalogue: Catalogue,
    small: Sequence[Change],
    large: Sequence[Change],
    book: PriceBook | None,
    by: Actor,
    now: datetime,
    *,
    rows: bool,
    urls: dict[str, str],
) -> PriceSync:
    """Write down what the sync proposed and what became of it. What waited before is superseded by what waits now."""
    digest = digest_of(large) if large else ""
    waited = PriceSync.objects.select_for_update().filter(status=_Status.WAITING).order_by("-at").first()
    rejected = PriceSync.objects.filter(status=_Status.REJECTED, digest=digest).order_by("-at").first()
    reason, status = "", _Status.PUBLISHED if book else _Status.NOTHING
    if waited is not None and waited.digest == digest:
        reason, large = f"Change set {waited.pk} still waits for a person.", ()
    elif large and rejected is not None:
        reason, large = f"What is left was rejected as change set {rejected.pk}.", ()
    if waited is not None and waited.digest != digest:
        PriceSync.objects.filter(pk=waited.pk).update(status=_Status.SUPERSEDED)
    if large:
        status = _Status.WAITING
        reason = _why(large)
    every = (*small, *large)
    sync = PriceSync.objects.create(
        source=catalogue.source,
        source_version=catalogue.source_version,
        status=status,
        reason=reason,
        digest=digest if large else "",
        new_count=sum(1 for each in every if each.kind == NEW),
        changed_count=sum(1 for each in every if each.kind == CHANGED),
        gone_count=sum(1 for each in every if each.kind == GONE),
        book=book,
        at=now,
    )
    if rows:
        write_changes(sync, small=small, large=large, urls=urls)
    if large:
        record(
            "prices.proposed",
            by=by,
            tenant="",
            target_kind="price_sync",
            target_id=str(sync.pk),
            after={"waiting": len(large), "digest": digest, "source": catalogue.source, "reason": reason},
        )
    return sync


def _why(large: Sequence[Change]) -> str:
    """What makes a change set wait, in one line."""
    first = large[0]
    what = f"{first.provider}/{first.model}" if first.model else f"rules of {first.provider}"
    more = f", and {len(large) - 1:,} more" if len(large) > 1 else ""
    return f"{what}: {first.reason}{more}."


def _record_description(book: PriceBook, described: int, by: Actor) -> None:
    """Names, notes and context windows changed, prices did not: there is nothing to publish."""
    record(
        "catalogue.described",
        by=by,
        tenant="",
        target_kind="price_book",
        target_id=str(book.version),
        after={"descriptions": described},
    )
