"""Unpriced models: from the flags that gateways write into KV to rows in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import msgspec
import structlog
from django.conf import settings
from django.db import transaction

from spend.models import UnpricedModel
from spend.zones import moment_of
from wire.documents import MISSING_PREFIX, Missing, decode_missing
from wire.kv.base import KV

logger = structlog.get_logger(__name__)

_LONGEST = 400


def note_unpriced_models() -> int:
    """Read every environment's flags and keep what is new in them. How many rows were made or changed.

    An observation, not a change that anybody made: it leaves no trace in the audit log.
    """
    changed = 0
    for env in settings.SPENDOPS.environments:
        with closing(settings.SPENDOPS.open_kv(env)) as kv:
            for missing in _flags(kv, env):
                changed += _note(missing, env)
    return changed


def _flags(kv: KV, env: str) -> Iterator[Missing]:
    after = ""
    while True:
        page = kv.list(MISSING_PREFIX, after=after)
        for entry in page.entries:
            if entry.body is None:
                continue
            try:
                yield decode_missing(entry.body)
            except msgspec.DecodeError as error:
                logger.warning("a flag for an unpriced model cannot be read", env=env, key=entry.key, error=str(error))
        after = page.after
        if not after:
            return


def _note(missing: Missing, env: str) -> bool:
    seen = moment_of(missing.first_seen)
    with transaction.atomic():
        row, made = UnpricedModel.objects.select_for_update().get_or_create(
            provider=missing.provider[:_LONGEST],
            model=missing.model[:_LONGEST],
            defaults={"first_seen": seen, "envs": [env]},
        )
        if made or (env in row.envs and row.first_seen <= seen):
            return made
        row.first_seen = min(row.first_seen, seen)
        row.envs = sorted({*row.envs, env})
        row.save(update_fields=["first_seen", "envs"])
    return True
