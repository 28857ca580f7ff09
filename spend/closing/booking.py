"""Storing events while months are being sealed: who decides what, so that both sides are always right.

Whoever stores older events first writes a row (a booking), then reads which months are sealed, then stores, then takes
the row away. Whoever seals a month first commits the seal, then reads the bookings. So one of the two sees the other:
a booking that was decided without knowing the seal is waited for, by whoever seals and by whoever has to find out
whether an event of the month was stored before. "Without knowing" is decided by counting seals, which are never
deleted, and not by a clock. A clock only says when a booking's owner must be dead (`LEASE`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone

from spend.clickhouse.errors import RefusedError, UnavailableError
from spend.models import Booking, MonthSeal
from tenants.scope import across_tenants

FIRST_HOUR = 1  # hours after its end a month is sealed at the earliest: newer events need no booking
LEASE = timedelta(seconds=180)
HELD_MOST_SECONDS = 60.0  # nothing is sent to ClickHouse later: with its own time-outs that ends well before the lease
WAIT_SECONDS = 5.0
_LOOK_SECONDS = 0.02


class NotYetError(UnavailableError):
    """It cannot be decided yet where events belong. Nothing was stored; try again."""


class Books:
    """Which months are sealed, as the holder of a booking saw it."""

    def __init__(self, row: Booking) -> None:
        self._row = row
        self._began = time.monotonic()
        self._closed, self._seals = closed_months()
        if self._seals:  # so that nobody waits for us who knows as much
            Booking.objects.filter(pk=row.pk).update(knew=self._seals)

    @property
    def any_closed(self) -> bool:
        """Whether any tenant has a sealed month."""
        return self._seals > 0

    def closed_until(self, tenant_id: str) -> int:
        """The first moment (Unix ms) of a tenant's first month that is not sealed, nor being sealed; 0: none is."""
        return self._closed.get(tenant_id, 0)

    def wait_for_others(self) -> None:
        """Wait until everybody is done who knew fewer seals. Raises NotYetError when that takes long."""
        ends = time.monotonic() + WAIT_SECONDS
        while undecided(self._seals).exclude(pk=self._row.pk).exists():
            if time.monotonic() >= ends:
                raise NotYetError("Events of a month that is being sealed are still being stored by somebody else.")
            time.sleep(_LOOK_SECONDS)

    def hold(self) -> None:
        """To be called right before anything is stored. Raises NotYetError when that took too long to prepare."""
        if time.monotonic() - self._began > HELD_MOST_SECONDS:
            raise NotYetError("It took too long to prepare events of older months; they are looked at again.")


@contextmanager
def booking() -> Iterator[Books]:
    """Store events of any month inside this block. Who fails or dies in it is waited for until the lease ends."""
    row = Booking.objects.create(until=timezone.now() + LEASE)
    try:
        yield Books(row)
    except (NotYetError, RefusedError):  # nothing was stored
        row.delete()
        raise
    # on whatever else it stands: what was sent may still be stored
    row.delete()


def undecided(seals: int) -> QuerySet[Booking]:
    """The bookings that may have been decided by somebody who knew fewer seals."""
    forget_the_dead()
    return Booking.objects.filter(Q(knew=None) | Q(knew__lt=seals))


def forget_the_dead() -> None:
    """Take away the bookings of whoever must be dead by now."""
    Booking.objects.filter(until__lt=timezone.now()).delete()


def closed_months() -> tuple[dict[str, int], int]:
    """Until when each tenant's months are closed (Unix ms), and how many seals there are, read in one statement."""
    with across_tenants("events of all tenants are stored together"):
        rows = list(MonthSeal.objects.values_list("tenant_id").annotate(Max("end_ms"), Count("pk")).order_by())
    return {tenant: end for tenant, end, _ in rows}, sum(number for *_, number in rows)
