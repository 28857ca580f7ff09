"""A forecast as pages show it: what a period will have cost when it ends."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from spend.models import Forecast
from tenants.scope import tenant_scope


class Outlook(NamedTuple):
    """What the days up to `last` will come to, USD; in four of five cases between `low` and `high`.

    `days` are the days to come, today first, with the middle of each; `band` is what has been spent by the end of
    each of them (low, middle, high), from the period's first day on; `off` is by how much the forecast of two weeks
    ago missed what these two weeks came to (0.04: 4 %), and `held` whether that lay within its interval. Both None
    without enough history.
    """

    last: date
    low: Decimal
    mid: Decimal
    high: Decimal
    days: list[tuple[date, Decimal]]
    band: list[tuple[Decimal, Decimal, Decimal]]
    method: str
    history_days: int
    off: Decimal | None
    held: bool | None

    @property
    def method_in_words(self) -> str:
        """How it was made, for a person."""
        if self.method == "ets":
            return (
                f"exponential smoothing (ETS) with a weekly season, fitted to {self.history_days} days; "
                "the range holds 80 % of 1,000 simulated courses"
            )
        return f"days drawn from the last {self.history_days}; a weekly season needs four weeks"


def outlook(tenant_id: str, last: date, *, today: date, before: Decimal, spent_today: Decimal) -> Outlook | None:
    """How a period will end that ends on `last`. `before` is what its days before today came to.

    None when there is no forecast (yet), or not so far ahead.
    """
    with tenant_scope(tenant_id):
        row = Forecast.objects.filter(tenant=tenant_id, first=today).first()
    ahead = (last - today) // timedelta(days=1)
    if row is None or not 0 <= ahead < len(row.mid):
        return None
    columns = [
        [before + value for value in _from(spent_today, [Decimal(value) for value in values[: ahead + 1]])]
        for values in (row.low, row.mid, row.high)
    ]
    band = [(low, mid, high) for low, mid, high in map(sorted, zip(*columns, strict=True))]
    days = [(today + timedelta(days=number), Decimal(row.daily[number])) for number in range(ahead + 1)]
    off, held = _judged(row.check_then)
    return Outlook(last, *band[-1], days, band, row.method, row.history_days, off, held)


def _from(spent_today: Decimal, sums: list[Decimal]) -> list[Decimal]:
    """Sums from today on, of which today comes to what is spent already at least; what follows is added to it."""
    more = max(spent_today - sums[0], Decimal(0))
    return [value + more for value in sums]


def _judged(check: dict[str, float] | None) -> tuple[Decimal | None, bool | None]:
    if not check or not check["actual"]:
        return None, None
    off = abs(check["mid"] - check["actual"]) / check["actual"]
    return Decimal(str(round(off, 4))), check["low"] <= check["actual"] <= check["high"]
