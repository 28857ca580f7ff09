"""Forecasts: made from closed days, remade when these change, with an interval that holds on simulated histories."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.core.management import call_command

from spend.forecasts.fitting import CHECK_DAYS, Task, fit
from spend.forecasts.queries import outlook
from spend.forecasts.run import AHEAD_DAYS, FittingError, fitted_apart, make_forecasts, ordinary
from spend.models import Forecast
from tenants.scope import across_tenants
from tests.spend.conftest import count, tenant
from tests.spend.events import TENANT, usage

TODAY = date(2026, 11, 20)
MONTH_END = date(2026, 11, 30)


def _history(seed: int, days: int, *, growth: float = 0.0) -> list[float]:
    """Workdays of about 100 USD, weekends of 40, a level that wanders, and noise."""
    dice, level, values = random.Random(seed), 1.0, []
    for day in range(days):
        level *= dice.lognormvariate(0, 0.02)
        values.append((100 if day % 7 < 5 else 40) * (1 + growth * day) * level * dice.lognormvariate(0, 0.15))
    return values


def test_the_interval_holds_about_four_times_of_five_and_the_season_is_learned():
    held, errors, flat = 0, [], []
    for seed in range(20):
        values = _history(seed, 109, growth=0.002)
        made, actual = fit(Task(values[:-14], 14)), sum(values[-14:])
        assert made.method == "ets"
        held += made.low[-1] <= actual <= made.high[-1]
        # over the next two days, a weekend, a flat mean is far off
        weekend = sum(values[95 : 95 + 3])
        errors.append(abs(made.mid[2] - weekend) / weekend)
        flat.append(abs(sum(values[:95]) / 95 * 3 - weekend) / weekend)
        assert made.low[-1] <= made.mid[-1] <= made.high[-1]
    assert 12 <= held <= 20
    assert sum(errors) < sum(flat)


def test_it_is_the_same_for_the_same_history():
    assert fit(Task(_history(1, 60), 10)) == fit(Task(_history(1, 60), 10))


def test_short_histories_and_days_without_use_have_no_season_or_trouble():
    short = fit(Task([10.0, 12.0, 11.0, 9.0], 5))
    assert short.method == "drawn"
    assert short.check is None
    assert 5 * 9 <= short.low[-1] <= short.mid[-1] <= short.high[-1] <= 5 * 12
    working_days = fit(Task([0.0 if day % 7 > 4 else 50.0 + day % 3 for day in range(70)], 7))
    assert 200 < working_days.mid[-1] < 300
    assert min(working_days.low) >= 0
    with pytest.raises(ValueError, match="too few"):
        fit(Task([1.0, 2.0], 5))


def test_one_runaway_day_is_no_history_and_a_new_level_is():
    days = {TODAY - timedelta(days=number): Decimal(100) for number in range(60, 0, -1)}
    one = TODAY - timedelta(days=5)
    assert set(ordinary(days | {one: Decimal(900)})) == {Decimal(100)}
    level = {TODAY - timedelta(days=number): Decimal(300) for number in range(1, 6)}
    assert ordinary(days | level)[-6:] == (100, 300, 300, 300, 300, 300)
    assert ordinary({}) == ()


def test_a_series_that_cannot_be_fitted_leaves_the_others_alone():
    none, made = fitted_apart([[Decimal(1)], [Decimal(day) for day in (10, 12, 11, 9)]], days=3)
    assert none is None
    assert made is not None
    assert len(made.mid) == 3


def test_a_process_that_fails_says_why(monkeypatch):
    monkeypatch.setattr("spend.forecasts.run.sys.executable", "/bin/false")
    with pytest.raises(FittingError, match="exit code 1"):
        fitted_apart([[Decimal(1)]])


@pytest.fixture
def spent(queues, clickhouse):
    """Sixty closed days and a begun one of a tenant in Kolkata."""
    with time_machine.travel(datetime(2026, 11, 20, 6, tzinfo=UTC), tick=True):
        tenant(TENANT, "Asia/Kolkata")
        tenant("t_quiet00001")
        values = _history(7, 60)
        events = []
        for number, value in enumerate(values):
            day = TODAY - timedelta(days=60 - number)
            events.append(usage(number, datetime(day.year, day.month, day.day, 5, tzinfo=UTC), charge=f"{value:.12f}"))
        events.append(usage(99, datetime(2026, 11, 20, 4, tzinfo=UTC), charge="1"))
        count(events)
        yield values


@pytest.mark.usefixtures("spent")
def test_forecasts_are_made_once_and_again_when_the_history_changes():
    assert make_forecasts() == 1
    assert make_forecasts() == 0
    with across_tenants("test"):
        row = Forecast.objects.get()
    assert (row.tenant_id, row.first, row.history_days, len(row.mid)) == (TENANT, TODAY, 60, AHEAD_DAYS)
    count([usage(200, datetime(2026, 11, 20, 5, tzinfo=UTC), charge="50")])  # today is not history
    assert make_forecasts() == 0
    count([usage(201, datetime(2026, 11, 18, 5, tzinfo=UTC), charge="50")])  # arrives late
    assert make_forecasts() == 1
    with time_machine.travel(datetime(2026, 11, 21, 6, tzinfo=UTC), tick=True):
        assert make_forecasts() == 1
    with time_machine.travel(datetime(2027, 2, 21, 6, tzinfo=UTC), tick=True):  # nothing was used for months
        assert make_forecasts() == 0
    with across_tenants("test"):
        assert not Forecast.objects.exists()


@pytest.mark.usefixtures("spent")
def test_a_run_that_has_no_time_left_leaves_the_rest_to_the_next():
    assert make_forecasts(seconds=-1) == 0
    assert make_forecasts() == 1


def test_the_outlook_of_a_month_begins_with_what_was_spent(spent):
    make_forecasts()
    before = Decimal("1000")
    asked = {"today": TODAY, "before": before, "spent_today": Decimal(1)}
    found = outlook(TENANT, MONTH_END, **asked)
    assert found is not None
    assert before < found.low <= found.mid <= found.high
    assert [day for day, _ in found.days] == [TODAY + timedelta(days=number) for number in range(11)]
    assert found.off is not None
    assert found.held is not None
    assert "weekly season" in found.method_in_words
    # what was spent today already cannot come to less
    much = outlook(TENANT, TODAY, today=TODAY, before=before, spent_today=Decimal(10**6))
    assert much is not None
    assert much.low == before + 10**6
    # … and the days to come are added to it
    whole = outlook(TENANT, MONTH_END, **(asked | {"spent_today": Decimal(10**6)}))
    assert whole is not None
    assert before + 10**6 < whole.low < whole.mid < whole.high
    assert abs((whole.mid - much.mid) / sum(charge for _, charge in whole.days[1:]) - 1) < Decimal("0.1")
    assert outlook(TENANT, TODAY + timedelta(days=AHEAD_DAYS), **asked) is None
    assert outlook(TENANT, MONTH_END, today=TODAY + timedelta(days=1), before=before, spent_today=Decimal(0)) is None
    assert outlook("t_quiet00001", MONTH_END, **asked) is None


def test_a_backtest_holds_past_forecasts_against_what_followed(spent, capsys):
    call_command("backtest_forecasts", tenant=TENANT, days=CHECK_DAYS, origins=3, json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["forecasts"] == 3
    assert found["rows"][0]["actual"] == pytest.approx(sum(spent[-CHECK_DAYS:]))
    assert found["rows"][0]["origin"] == (TODAY - timedelta(days=CHECK_DAYS)).isoformat()
    call_command("backtest_forecasts", tenant="t_quiet00001")
    assert "enough history" in capsys.readouterr().out
