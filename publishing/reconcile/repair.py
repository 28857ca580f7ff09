"""Repairing what was found: rows of desired state are changed, and the publisher sends them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from changes.models import OutboxRow
from changes.record import wake_publisher
from publishing import leases
from publishing.entries import Cause, copied, desire, put
from publishing.guards import revival_code
from publishing.models import KvEntry, KvVersion
from publishing.reconcile.differences import Difference, Found, Wrong
from publishing.render import Document
from tenants.scope import across_tenants

PIECE = 500


def repair(found: Found, *, env: str, store: str, why: int, renew: Callable[[], None]) -> None:
    """Have everything sent that is not as it should be, a piece in a transaction. What changed meanwhile is left out.

    `why` is the audit event. A run that dies half-way has done no harm: the next one finds the rest.
    """
    differences = iter(found)
    while piece := list(islice(differences, PIECE)):
        with transaction.atomic(), across_tenants("what is published belongs to every tenant"):
            leases.wait_for_turn(leases.OUTBOX)  # nobody else makes revs meanwhile
            _repair_piece(piece, env, store, why)
            wake_publisher()
        renew()


def _repair_piece(piece: list[Difference], env: str, store: str, why: int) -> None:
    rows = {row.key: row for row in _rows_of(env, piece).filter(store=store).select_for_update()}
    current = [each for each in piece if _unchanged(each, rows.get(each.key))]
    _render_again(current, why)
    _delete(current, env, rows, why)
    _delete_foreign([each for each in current if each.wrong is Wrong.FOREIGN], env, store, why)
    _go_past([each for each in current if _is_ahead(each)], env, rows, why)
    again = [rows[each.key].pk for each in current if _is_behind(each)]
    now = timezone.now()
    KvEntry.objects.filter(pk__in=again).update(
        published_rev=0, updated_at=now, next_at=now, attempts=0, parked=False, error=""
    )


def _rows_of(env: str, piece: list[Difference]) -> QuerySet[KvEntry]:
    return KvEntry.objects.filter(env=env, key__in=[each.key for each in piece])


def _unchanged(difference: Difference, row: KvEntry | None) -> bool:
    if row is None:
        return difference.rev == 0
    return row.rev == difference.rev and (row.published_rev >= row.rev or difference.wrong is Wrong.UNSAID)


def _is_ahead(difference: Difference) -> bool:
    """Whether the store would refuse SQL's rev, or take it for a repetition."""
    return difference.wrong in (Wrong.NEWER, Wrong.OTHER) or (
        difference.wrong is Wrong.ALIVE and difference.held_rev >= difference.rev
    )


def _is_behind(difference: Difference) -> bool:
    return difference.wrong in (Wrong.ABSENT, Wrong.OLDER, Wrong.ALIVE) and not _is_ahead(difference)


def _render_again(current: list[Difference], why: int) -> None:
    things = dict.fromkeys((each.topic, each.object_id) for each in current if each.wrong is Wrong.UNSAID)
    OutboxRow.objects.bulk_create(
        OutboxRow(topic=topic, object_id=object_id, audit_event_id=why) for topic, object_id in things
    )


def _delete(current: list[Difference], env: str, rows: dict[str, KvEntry], why: int) -> None:
    """What SQL has no object of any more is deleted from every store."""
    orphans = [rows[each.key] for each in current if each.wrong is Wrong.ORPHAN]
    desire((Document(env, row.key, row.tenant_id, None), Cause(why)) for row in orphans)


def _delete_foreign(foreign: list[Difference], env: str, store: str, why: int) -> None:
    now = timezone.now()
    put(
        [
            KvEntry(env=env, store=store, key=each.key, rev=each.held_rev + 1, why=why, urgent=True, next_at=now)
            for each in foreign
        ]
    )
    versions = (KvVersion(env=env, key=each.key, rev=each.held_rev + 1, why=why, at=now) for each in foreign)
    KvVersion.objects.bulk_create(versions, ignore_conflicts=True)


def _go_past(ahead: list[Difference], env: str, rows: dict[str, KvEntry], why: int) -> None:
    """Raise the rev past the store's, in all stores of the environment: they share revs."""
    now = timezone.now()
    of_all = _rows_of(env, ahead).order_by("pk").select_for_update()
    stores: dict[str, list[str]] = {}
    for key, store in of_all.values_list("key", "store"):
        stores.setdefault(key, []).append(store)
    newest = dict(_rows_of(env, ahead).values_list("key").annotate(Max("rev")).order_by())
    put(list(_raised(ahead, rows, stores, newest, why=why, now=now)), also=("confirmed",))


def _raised(
    ahead: list[Difference],
    rows: dict[str, KvEntry],
    stores: dict[str, list[str]],
    newest: dict[str, int],
    **about: Any,
) -> Iterator[KvEntry]:
    for each in ahead:
        rev = max(newest[each.key], each.held_rev) + 1
        for store in stores[each.key]:
            row = copied(rows[each.key], store, rev=rev, **about)
            row.confirmed = revival_code(row, each.held_rev)  # whoever let the repair through has let this through
            yield row
