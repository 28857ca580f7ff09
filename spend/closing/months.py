"""A tenant's months: which are sealed, which is next, and whether it can be sealed now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from pricing.rates.base import Rate, RatesError
from pricing.rates.queries import rate_on
from spend.clickhouse.client import ask
from spend.closing.booking import FIRST_HOUR
from spend.models import CountedZone, DirtyDay, MonthSeal, Rerating, UsageImport
from spend.periods import month_end
from spend.queries.freshness import complete_to
from spend.queries.rollup import counted_days
from spend.retention import usage_kept_from
from spend.zones import calendar, calendar_of, moment_of
from tenants.errors import RefusedError, StatusError
from tenants.models import Tenant
from wire.display import moment

_AROUND = timedelta(days=2)  # a mark in another zone may mean a day that lies so far away


class Month(NamedTuple):
    """A month as the list shows it. `why_not` says why it cannot be sealed now, "" when it can or is."""

    first: date
    seal: MonthSeal | None
    is_next: bool

    @property
    def last(self) -> date:
        return month_end(self.first)


def parse_month(text: str) -> date | None:
    """The first day of a month written like 2026-10; None for anything else."""
    try:
        found = date.fromisoformat(f"{text}-01")
    except ValueError:
        return None
    return found if text == f"{found:%Y-%m}" and found.year >= 2000 else None


def month_after(month: date) -> date:
    """The first day of the month after."""
    return month_end(month) + timedelta(days=1)


def seals_of(tenant_id: str) -> list[MonthSeal]:
    """A tenant's sealed months and the one that is being sealed, the newest first."""
    return list(MonthSeal.objects.filter(tenant_id=tenant_id).select_related("statement").order_by("-month"))


def months_of(tenant: Tenant, *, today: date) -> list[Month]:
    """All months of a tenant from its first usage to today, the newest first. Raises UnavailableError."""
    seals = {seal.month: seal for seal in seals_of(tenant.id)}
    first = min([month for month in (first_month(tenant.id), *seals) if month], default=today.replace(day=1))
    following = next_month(tenant.id, seals.values())
    months, month = [], first
    while month <= today:
        months.append(Month(month, seals.get(month), month == following))
        month = month_after(month)
    return months[::-1]


def first_month(tenant_id: str) -> date | None:
    """The month of the first usage that is known, and whose calls are all kept; None when there is none."""
    sql = (
        f"SELECT count(), min(day) FROM {counted_days('tenant_id = %(tenant_id)s')}"  # noqa: S608
        " WHERE requests > 0 OR charge != 0"
    )
    days, first = ask(sql, tenant_id=tenant_id, purpose="months")[0]
    return _kept(tenant_id, first.replace(day=1)) if days else None


def next_month(tenant_id: str, seals: Iterable[MonthSeal] | None = None) -> date | None:
    """The month to be sealed next: the one after the last that is, or that of the first usage. None without usage."""
    known = [seal.month for seal in (seals_of(tenant_id) if seals is None else seals)]
    return _kept(tenant_id, month_after(max(known))) if known else first_month(tenant_id)


def _kept(tenant_id: str, month: date) -> date:
    """A month, or the first one after it whose calls are all kept: the others cannot be stated any more."""
    since, days = usage_kept_from(), calendar_of(tenant_id)
    while days.bounds(month)[0] < since:
        month = month_after(month)
    return month


def refuse_unsealable(tenant: Tenant, month: date) -> datetime:
    """Up to when everything is counted, if the month can be sealed now; Raises RefusedError with the reason.

    Raises UnavailableError while ClickHouse is away.
    """
    following = next_month(tenant.id)
    if MonthSeal.objects.filter(tenant=tenant, month__gte=month).exists():
        raise StatusError(f"{month:%B %Y} is sealed already, or being sealed.")
    if following is None:
        raise StatusError("There is no usage yet: nothing can be sealed.")
    if month < following:
        raise StatusError(f"There is no usage in {month:%B %Y} to be sealed: begin with {following:%B %Y}.")
    if month > following:
        raise StatusError(f"Months are sealed in their order: {following:%B %Y} comes first.")
    if MonthSeal.objects.filter(tenant=tenant, state=MonthSeal.State.SEALING).exists():
        raise StatusError("The month before is still being sealed. Wait until it is.")
    days = calendar(tenant.time_zone)
    end = days.bounds(month, month_end(month))[1]
    earliest = moment_of(end) + timedelta(hours=max(FIRST_HOUR, settings.SEAL_GRACE_HOURS))
    if timezone.now() < earliest:
        when = moment(earliest, tenant.time_zone)
        raise StatusError(f"{month:%B %Y} can be sealed from {when} on: calls that come late are waited for.")
    complete = complete_to()
    if complete < moment_of(end):
        raise StatusError(
            f"Not everything of {month:%B %Y} is counted: events wait since {moment(complete, tenant.time_zone)}. "
            "Wait until they are, or see what was set aside."
        )
    _refuse_uncounted(tenant, month)
    _refuse_jobs(tenant, end)
    rate_of(tenant.currency, month)
    return complete


def rate_of(currency: str, month: date) -> Rate:
    """The rate that a month is stated by: of its last day. Raises RefusedError when there is none."""
    try:
        return rate_on(currency, month_end(month))
    except RatesError as error:
        raise RefusedError(str(error)) from error


def uncounted(tenant_id: str, month: date) -> bool:
    """Whether days of a month are marked to be counted anew."""
    return DirtyDay.objects.filter(
        tenant_id=tenant_id, day__gte=month - _AROUND, day__lte=month_end(month) + _AROUND
    ).exists()


def _refuse_uncounted(tenant: Tenant, month: date) -> None:
    zone = CountedZone.objects.filter(pk=tenant.id).first()
    if uncounted(tenant.id, month) or (zone is not None and (zone.moving or zone.zone != tenant.time_zone)):
        raise StatusError(f"Days of {month:%B %Y} are just being counted anew. Try again in a moment.")


def _refuse_jobs(tenant: Tenant, end: int) -> None:
    open_states = (Rerating.Status.WAITING, Rerating.Status.RUNNING)
    jobs = Rerating.objects.filter(Q(tenant_id=tenant.id) | Q(tenant_id=""), dry=False, status__in=open_states)
    job = jobs.filter(begin__lt=moment_of(end)).first()
    if job is not None:
        raise StatusError(f"The re-rating {job.pk} is at work. Wait until it is done, or stop it.")
    status = UsageImport.Status
    running = UsageImport.objects.filter(tenant=tenant, status__in=(status.IMPORTING, status.WITHDRAWING)).first()
    if running is not None:
        raise StatusError(f"The import of {running.file_name} is at work. Wait until it is done.")
