"""Writes of exchange rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import structlog
from django.db import transaction
from django.utils import timezone

from changes.actor import Actor
from changes.record import record
from pricing.models import ExchangeRate
from pricing.rates.base import RatesError, RateSource, Reference

log = structlog.get_logger(__name__)

HISTORY_SINCE = date(2023, 1, 1)  # what is kept from the first sync on: older spend than this is not brought here
AGAIN = timedelta(days=10)  # looked at again by each sync, for a day that was late
MOVE_MOST_PERCENT = 50  # a currency that moves so far from one published day to the next is rather an error


class RatesSynced(NamedTuple):
    """What a sync of rates did. `failed` names the sources that could not be read, each with its reason."""

    added: int
    last_day: date | None
    source: str
    failed: tuple[str, ...] = ()


def sync_rates(sources: Sequence[RateSource], *, by: Actor, accept_leaps: bool = False) -> RatesSynced:
    """Add what the first readable source published since the last sync. What is kept is never changed.

    Raises RatesError when no source can be read, or when a rate moved too far to be believed; then nothing changed.
    """
    newest = ExchangeRate.objects.order_by("-day").values_list("day", flat=True).first()
    since = newest - AGAIN if newest else HISTORY_SINCE
    failed: list[str] = []
    for source in sources:
        try:
            found = source.read(since=since)
        except RatesError as error:
            failed.append(f"{source.name}: {error}")
            log.warning("rates.source_failed", source=source.name, reason=str(error))
            continue
        if newest and source is not sources[-1] and (not found or found[-1].day < newest):
            failed.append(f"{source.name}: it ends before {newest}.")
            continue
        return RatesSynced(
            _add(found, source.name, by, accept_leaps=accept_leaps), _last_day(), source.name, tuple(failed)
        )
    raise RatesError("No exchange rates could be read: " + " ".join(failed or ["no source is set up."]))


def _add(found: Sequence[Reference], source: str, by: Actor, *, accept_leaps: bool) -> int:
    now = timezone.now()
    with transaction.atomic():
        first = found[0].day if found else HISTORY_SINCE
        rows = ExchangeRate.objects.filter(day__gte=first).values_list("day", "currency", "rate_e8")
        held = {(day, currency): rate_e8 for day, currency, rate_e8 in rows}
        if not accept_leaps:
            _refuse_leaps(found, held)
        new = [each for each in found if (each.day, each.currency) not in held]
        if not new:
            return 0
        ExchangeRate.objects.bulk_create(
            [
                ExchangeRate(day=each.day, currency=each.currency, rate_e8=each.rate_e8, source=source, seen_at=now)
                for each in new
            ],
            batch_size=500,
            ignore_conflicts=True,  # of two syncs at once, the other's rows are the same
        )
        record(
            "exchange_rates.added",
            by=by,
            tenant="",
            target_kind="exchange_rates",
            target_id=str(new[-1].day),
            after={"rates": len(new), "first_day": str(new[0].day), "last_day": str(new[-1].day), "source": source},
        )
    return len(new)


def _refuse_leaps(found: Sequence[Reference], held: Mapping[tuple[date, str], int]) -> None:
    """Compare each currency's new figures with those of the day before. What is kept was believed."""
    last: dict[str, tuple[date, int]] = {}
    if found:
        near = ExchangeRate.objects.filter(day__lt=found[0].day, day__gte=found[0].day - AGAIN).order_by("day")
        last = {row.currency: (row.day, row.rate_e8) for row in near}
    for each in found:
        if (kept := held.get((each.day, each.currency))) is not None:
            last[each.currency] = (each.day, kept)
            continue
        day, before = last.get(each.currency, (date.min, 0))
        if each.day - day < AGAIN and abs(each.rate_e8 - before) * 100 > before * MOVE_MOST_PERCENT:
            raise RatesError(
                f"The rate of {each.currency} moves by more than {MOVE_MOST_PERCENT} % from {day} to {each.day}: "
                "nothing was changed. If it is right, run manage.py sync_rates --accept-leaps."
            )
        last[each.currency] = (each.day, each.rate_e8)


def _last_day() -> date | None:
    return ExchangeRate.objects.order_by("-day").values_list("day", flat=True).first()
