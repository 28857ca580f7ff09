"""A pace towards a limit: it follows the weekdays, and comes to the limit exactly."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from spend.limits import Limit, limit_on, register
from spend.pace import paced
from spend.periods import each_day

MONTH = each_day(date(2026, 11, 1), date(2026, 11, 30))
HISTORY = each_day(date(2026, 9, 1), date(2026, 10, 26))


def test_quiet_weekends_have_a_quiet_pace():
    history = {day: Decimal(20 if day.weekday() > 4 else 100) for day in HISTORY}
    days = dict(zip(MONTH, paced(Decimal(3000), MONTH, history), strict=True))
    saturday, monday = days[date(2026, 11, 7)], days[date(2026, 11, 9)]
    assert abs(monday - 5 * saturday) < Decimal("0.05")


@given(st.decimals("0.01", 10**6, places=2), st.lists(st.decimals(-10, 10**4, places=3), min_size=0, max_size=56))
def test_the_days_come_to_the_limit(limit, charges):
    history = {date(2026, 10, 31) - timedelta(days=number): charge for number, charge in enumerate(charges)}
    found = paced(limit, MONTH, history)
    assert sum(found) == limit
    assert len(found) == len(MONTH)


def test_without_history_all_days_are_alike():
    assert set(paced(Decimal(300), MONTH, {})) == {Decimal(10)}
    assert paced(Decimal(300), [], {}) == []


def test_the_lowest_limit_counts(monkeypatch):
    monkeypatch.setattr("spend.limits._sources", [])
    for amount in (300, 200):
        register(lambda *_, amount=amount: Limit("x", Decimal(amount), "/", ""))
    register(lambda *_: None)
    found = limit_on("t_acme00001", MONTH[0], MONTH[-1])
    assert found is not None
    assert found.amount == 200
