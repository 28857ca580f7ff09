"""Making forecasts: for each tenant whose history is not the one that its forecast was made from."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec
import structlog
from django.conf import settings
from django.utils import timezone

from spend.anomalies.rules import expected_on
from spend.forecasts.fitting import LEAST, Fitted, Task
from spend.models import Forecast
from spend.periods import each_day
from spend.queries.days_of_tenants import days_of_tenants
from spend.zones import calendar, ms_of
from tenants.models import Tenant
from tenants.scope import across_tenants

logger = structlog.get_logger(__name__)

HISTORY_DAYS = 119  # seventeen weeks
AHEAD_DAYS = 100  # a quarter, and then some
QUIET_DAYS = 28  # who used nothing for so long has nothing to forecast
TENANTS_AT_ONCE = 500
FITS_AT_ONCE = 10
FIT_SECONDS = 180  # for FITS_AT_ONCE of them; one takes less than a second
LEVEL_DAYS = 3  # odd days within so many of one another …
LEVEL_LEAST = 3  # … and so many of them are a new level
_PLACES = Decimal("0.000001")


class FittingError(RuntimeError):
    """The process that fits did not do it; the message says what it said."""


class History(NamedTuple):
    """A tenant's closed days, the oldest first, and the day after them, which is its today. USD."""

    tenant: str
    today: date
    values: tuple[Decimal, ...]

    @property
    def digest(self) -> str:
        text = f"{self.today} {' '.join(f'{value:f}' for value in self.values)}"
        return hashlib.sha256(text.encode()).hexdigest()


def make_forecasts(*, seconds: float = float("inf")) -> int:
    """Make the forecasts that are due; how many were made. Raises UnavailableError, FittingError.

    After `seconds` no more fits are begun: the next run goes on. Safe to run twice or beside another: the same history
    gives the same forecast.
    """
    made, ends = 0, time.monotonic() + seconds
    with across_tenants("forecasts are made for all tenants"):
        known = dict(Forecast.objects.values_list("tenant_id", "digest"))
        zones = list(Tenant.objects.order_by("pk").values_list("pk", "time_zone"))
        for begin in range(0, len(zones), TENANTS_AT_ONCE):
            histories = list(histories_of(dict(zones[begin : begin + TENANTS_AT_ONCE])))
            quiet = [each.tenant for each in histories if not any(each.values[-QUIET_DAYS:])]
            Forecast.objects.filter(tenant__in=quiet).delete()
            due = [
                each
                for each in histories
                if each.tenant not in quiet and len(each.values) >= LEAST and known.get(each.tenant) != each.digest
            ]
            for first in range(0, len(due), FITS_AT_ONCE):
                if time.monotonic() > ends:
                    return made
                some = due[first : first + FITS_AT_ONCE]
                for history, fitted in zip(some, fitted_apart([each.values for each in some]), strict=True):
                    if fitted is None:
                        logger.error("a forecast cannot be made", tenant=history.tenant, days=len(history.values))
                        continue
                    _keep(history, fitted)
                    made += 1
    return made


def histories_of(zones: Mapping[str, str]) -> Iterator[History]:
    """The closed days of tenants (with their zones), from the first one with use on, HISTORY_DAYS at most."""
    now = ms_of(timezone.now())
    todays = {tenant: calendar(zone).day_of(now) for tenant, zone in zones.items()}
    if not todays:
        return
    first = min(todays.values()) - timedelta(days=HISTORY_DAYS)
    used = days_of_tenants(list(todays), first, max(todays.values()))
    for tenant, today in todays.items():
        days = used.get(tenant, {})
        closed = [day for day in days if today - timedelta(days=HISTORY_DAYS) <= day < today]
        if not closed:
            yield History(tenant, today, ())
            continue
        span = each_day(min(closed), today - timedelta(days=1))
        yield History(tenant, today, ordinary({day: days.get(day, Decimal(0)) for day in span}))


def ordinary(days: Mapping[date, Decimal]) -> tuple[Decimal, ...]:
    """The days' charges in their order, odd days as what was to be expected of them (see `spend.anomalies.rules`).

    One runaway day says nothing about the days to come. Several close together may be a new level: they stay.
    """
    odd = {day: band[0] for day in days if (band := expected_on(days, day)) is not None and days[day] > band[1]}
    alone = {
        day
        for day in odd
        if sum(day + timedelta(days=number) in odd for number in range(-LEVEL_DAYS, LEVEL_DAYS + 1)) < LEVEL_LEAST
    }
    return tuple(odd[day] if day in alone else charge for day, charge in days.items())


def fitted_apart(series: Sequence[Sequence[Decimal]], *, days: int = AHEAD_DAYS) -> list[Fitted | None]:
    """Fit each series in a process that ends afterwards, and so gives its memory back. Raises FittingError.

    None stands for a series that cannot be fitted.
    """
    tasks = [Task([float(value) for value in values], days) for values in series]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "spend.forecasts.fitting"],
            input=msgspec.json.encode(tasks),
            capture_output=True,
            cwd=settings.BASE_DIR,
            timeout=FIT_SECONDS,
            check=True,
        )
        return msgspec.json.decode(done.stdout, type=list[Fitted | None])
    except subprocess.TimeoutExpired as error:
        raise FittingError(f"Fitting {len(tasks)} series took more than {FIT_SECONDS} s.") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
        raise FittingError(f"Forecasts cannot be fitted: {said[0]}") from error


def _keep(history: History, fitted: Fitted) -> None:
    values = {name: _texts(getattr(fitted, name)) for name in ("daily", "low", "mid", "high")}
    Forecast.objects.update_or_create(
        tenant_id=history.tenant,
        defaults={
            "first": history.today,
            "method": fitted.method,
            "history_days": len(history.values),
            "check_then": msgspec.to_builtins(fitted.check),
            "digest": history.digest,
            **values,
        },
    )
    logger.info("forecast made", tenant=history.tenant, method=fitted.method, history_days=len(history.values))


def _texts(values: Sequence[float]) -> list[str]:
    return [f"{Decimal(value).quantize(_PLACES):f}" for value in values]
