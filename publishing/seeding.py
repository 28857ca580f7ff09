"""A store that the configuration names anew gets a row for every document of its environment.

What a store lacks is found by comparing rows, not by remembering what was done: a publisher looks when it starts and
every hour, and a crash leaves nothing half done.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import structlog
from django.db import transaction
from django.utils import timezone

from publishing import leases
from publishing.entries import Held, copied, held_of, newest_rows, put, stores_fed
from publishing.models import KvEntry

log = structlog.get_logger(__name__)

PIECE = 1000
LOOK_AGAIN_SECONDS = 3600.0


class Seeding:
    """Walks over the documents of environments, a piece at a time."""

    def __init__(self, environments: Iterable[str]) -> None:
        self._environments = list(environments)
        self._left = list(self._environments)
        self._after = ""
        self._ended = 0.0

    def piece(self) -> bool:
        """Look at some documents, and copy those that a store lacks. Returns whether more are left for now."""
        if not self._left:
            if time.monotonic() < self._ended + LOOK_AGAIN_SECONDS:
                return False
            self._left, self._after = list(self._environments), ""
        env = self._left[0]
        rows = KvEntry.objects.filter(env=env, key__gt=self._after).order_by("key")
        keys = list(rows.values_list("key", flat=True).distinct()[:PIECE])
        if keys:
            _level(env, keys)
            self._after = keys[-1]
        else:
            self._left.pop(0)
            self._after, self._ended = "", time.monotonic()
        return bool(self._left)


def _level(env: str, keys: list[str]) -> None:
    if not _lacking(env, held_of(env, keys, lock=False)):
        return
    with transaction.atomic():
        leases.wait_for_turn(leases.OUTBOX)
        held = held_of(env, keys, lock=True)
        lacking = _lacking(env, held)
        now = timezone.now()
        rows = [
            copied(row, store, rev=row.rev, why=row.why, now=now)
            for row in newest_rows(env, lacking, held)
            for store in lacking[row.key]
        ]
        put(rows)
    log.info("Documents were copied for a store", env=env, documents=len(rows))


def _lacking(env: str, held: dict[str, Held]) -> dict[str, list[str]]:
    """By document, the stores that have no row of it or an older one."""
    fed = stores_fed(env)
    found = {
        key: [store for store in fed if document.revs.get(store, 0) < document.rev] for key, document in held.items()
    }
    return {key: stores for key, stores in found.items() if stores}
