"""Unpriced models: from the flags that gateways write into KV to rows in SQL, and until they are settled.

A flag in KV is written once and stays: it belongs to the gateways. What is settled is marked in SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, time
from typing import NamedTuple

import msgspec
import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from pricing.queries import current_version
from spend.models import UnpricedModel
from spend.queries.unpriced_everywhere import UnpricedUse, unpriced_everywhere
from spend.rerating.run import price_book
from spend.zones import moment_of
from wire.documents import MISSING_PREFIX, Missing, decode_missing
from wire.kv.base import KV

logger = structlog.get_logger(__name__)

_LONGEST = 400


class Outstanding(NamedTuple):
    """A model that somebody has to look after: it has no price, or calls of it were not priced yet."""

    provider: str
    model: str
    first_seen: datetime
    envs: list[str]
    use: UnpricedUse | None  # None: none of it is counted (any more)
    priced: bool  # it is in the price book now
    flagged: bool  # `first_seen` is a gateway's flag; else it is the beginning of the first day of its use


def outstanding_models() -> list[Outstanding]:
    """The models that lack a price in some tenant, those with most requests first. Raises UnavailableError."""
    return _outstanding(unpriced_everywhere())


def _outstanding(used: Mapping[tuple[str, str], UnpricedUse]) -> list[Outstanding]:
    flags = {(row.provider, row.model): row for row in UnpricedModel.objects.filter(resolved_at=None)}
    book = price_book(current_version())
    found = []
    for provider, model in used.keys() | flags.keys():
        use, flag = used.get((provider, model)), flags.get((provider, model))
        priced = book is not None and book.find(provider, model) is not None
        if use is None and priced:
            continue
        seen = [flag.first_seen] if flag else []
        seen += [datetime.combine(use.first, time(), UTC)] if use else []  # of calls before the flag, as imported ones
        envs = sorted({*(flag.envs if flag else ()), *(use.envs if use else ())})
        found.append(
            Outstanding(
                provider, model, min(seen), envs, use, priced, flag is not None and min(seen) == flag.first_seen
            )
        )
    return sorted(found, key=lambda each: (-(each.use.requests if each.use else 0), each.provider, each.model))


def settle_unpriced_models() -> int:
    """Mark the flags of models that have a price and no unpriced use left, and unmark those that have some again.

    How many were changed. Raises UnavailableError.
    """
    used = unpriced_everywhere()
    standing = {(each.provider, each.model) for each in _outstanding(used)}
    now, changed = timezone.now(), 0
    for row in UnpricedModel.objects.all():
        name = (row.provider, row.model)
        if row.resolved_at is None and name not in standing:
            changed += UnpricedModel.objects.filter(pk=row.pk, resolved_at=None).update(resolved_at=now)
        elif row.resolved_at is not None and name in used:
            changed += UnpricedModel.objects.filter(pk=row.pk).update(resolved_at=None)
    return changed


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
