"""When keys and projects were last used, to the minute. It is no change that anybody made, so nothing records it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import models, transaction
from django.db.models import Q

from tenants.models import ApiKey, Project
from tenants.scope import across_tenants

_REMEMBERED_MOST = 200_000


class Use(NamedTuple):
    """A call, as far as it says that a key was used."""

    key: str
    project: str
    ts: int  # Unix ms


class LastUses:
    """Notes uses. It remembers what it noted, so that a key in constant use costs one statement a minute."""

    def __init__(self) -> None:
        self._noted: dict[tuple[type[models.Model], str], int] = {}  # in minutes since 1970

    def note(self, uses: Iterable[Use], *, now: datetime) -> None:
        """Write down the newest use of each key and project where it is newer, by the minute, than what stands there.

        A row that somebody is changing is left for the next minute: nobody waits for this. Harmless to repeat.
        Raises DatabaseError.
        """
        latest, this_minute = dict[tuple[type[models.Model], str], int](), int(now.timestamp()) // 60
        for use in uses:
            minute = min(use.ts // 60_000, this_minute)  # a gateway's clock may be ahead
            for row in ((ApiKey, use.key), (Project, use.project)):
                if row[1] and minute > max(latest.get(row, -1), self._noted.get(row, -1)):
                    latest[row] = minute
        by_minute: dict[tuple[type[models.Model], int], list[str]] = {}
        for (model, row_id), minute in latest.items():
            by_minute.setdefault((model, minute), []).append(row_id)
        for (model, minute), ids in by_minute.items():
            _write(model, ids, datetime.fromtimestamp(minute * 60, UTC))
        if len(self._noted) + len(latest) > _REMEMBERED_MOST:
            self._noted.clear()
        self._noted |= latest


def _write(model: type[models.Model], ids: list[str], at: datetime) -> None:
    older = Q(last_used_at=None) | Q(last_used_at__lt=at)
    rows = model._default_manager
    with across_tenants("calls of all tenants come through one queue"), transaction.atomic():
        free = rows.select_for_update(skip_locked=True, no_key=True).filter(older, pk__in=ids)
        rows.filter(pk__in=free.values("pk")).update(last_used_at=at)
