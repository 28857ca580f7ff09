"""Reads of exchange rates."""

from __future__ import annotations

from collections import deque
from datetime import date, datetime, timedelta
from itertools import groupby

from pricing.models import ExchangeRate
from pricing.rates.base import E8, EURO, Rate, RatesError

USD = "USD"
_LONGEST_GAP = timedelta(days=31)  # a currency that was not published for so long has no rate any more


def rate_on(currency: str, day: date) -> Rate:
    """How a currency stood to USD on a day: by the figures of that day or, when none were published, the last before.

    Raises RatesError when there are none, with what to do about it.
    """
    found = rates_on(currency, day, day)
    if day not in found:
        raise RatesError(_why_none(currency, day))
    return found[day]


def rates_on(currency: str, first: date, last: date) -> dict[date, Rate]:
    """The rate of every day of a run, in one query. Days without any are left out."""
    run = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    if currency == USD:
        return {day: Rate(USD, day, 1, 1, "") for day in run}
    published = _published(currency, first - _LONGEST_GAP, last)
    found: dict[date, Rate] = {}
    newest: Rate | None = None
    for day in run:
        while published and published[0].day <= day:
            newest = published.popleft()
        if newest is not None and day - newest.day < _LONGEST_GAP:
            found[day] = newest
    return found


def history(currency: str, *, since: date) -> list[Rate]:
    """A currency's rates to USD on the days on which they were published, the oldest first."""
    return list(_published(currency, since, date.max))


def newest_rates() -> list[Rate]:
    """The newest rate of each currency that is still published, by currency, in one query."""
    newest = last_day()
    if newest is None:
        return []
    rows = list(ExchangeRate.objects.filter(day__gt=newest - _LONGEST_GAP, day__lte=newest).order_by("day"))
    dollars = {row.day: row for row in rows if row.currency == USD}
    found = {row.currency: _beside(row, dollars[row.day]) for row in rows if row.day in dollars and row.currency != USD}
    if dollars:
        day = max(dollars)
        found[EURO] = Rate(EURO, day, E8, dollars[day].rate_e8, dollars[day].source)
    return [found[currency] for currency in sorted(found)]


def last_synced() -> datetime | None:
    """When rates were last added; None before the first."""
    return ExchangeRate.objects.order_by("-day", "-seen_at").values_list("seen_at", flat=True).first()


def currencies_with_rates() -> list[str]:
    """The currencies that amounts can be converted to today, USD and EUR among them."""
    newest = last_day()
    if newest is None:
        return [USD]
    rows = ExchangeRate.objects.filter(day__gt=newest - _LONGEST_GAP).values_list("currency", flat=True)
    return sorted({*rows, USD, EURO})


def last_day() -> date | None:
    """The newest day with rates; None before the first sync."""
    return ExchangeRate.objects.order_by("-day").values_list("day", flat=True).first()


def _published(currency: str, first: date, last: date) -> deque[Rate]:
    """The days on which both a currency's figure and that of USD were published."""
    wanted = {currency, USD} - {EURO}
    rows = ExchangeRate.objects.filter(currency__in=wanted, day__gte=first, day__lte=last).order_by("day")
    days = {day: {row.currency: row for row in group} for day, group in groupby(rows, key=lambda row: row.day)}
    return deque(
        Rate(currency, day, E8 if currency == EURO else held[currency].rate_e8, held[USD].rate_e8, held[USD].source)
        for day, held in days.items()
        if len(held) == len(wanted)
    )


def _beside(row: ExchangeRate, dollar: ExchangeRate) -> Rate:
    return Rate(row.currency, row.day, row.rate_e8, dollar.rate_e8, row.source)


def _why_none(currency: str, day: date) -> str:
    newest = last_day()
    if newest is None:
        return "There are no exchange rates yet: run manage.py sync_rates."
    if currency not in currencies_with_rates():
        return (
            f"The European Central Bank publishes no rate of {currency}: choose another currency, such as USD or EUR."
        )
    return f"There is no exchange rate of {currency} for {day}: rates begin later, or end on {newest}."
