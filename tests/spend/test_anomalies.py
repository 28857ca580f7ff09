"""Anomalies: found where a day stands out from its weekdays, once, with the key behind it; settled by people."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from changes.actor import Actor
from changes.models import AuditEvent
from spend.anomalies.actions import settle_anomaly
from spend.anomalies.queries import anomalies, keys_on, open_anomaly, series_of, told
from spend.anomalies.rules import excess, expected_on
from spend.anomalies.run import LOOK_AT_DAYS, look_for_anomalies
from spend.models import Anomaly
from spend.names import Names
from tenants.errors import InvalidSettingError, StatusError
from tenants.scope import tenant_scope
from tests.spend.conftest import count, tenant
from tests.spend.events import TENANT, usage

TODAY = date(2026, 11, 20)  # a Friday
BY = Actor("user", "u_finance0001", role="finance_viewer")
LEAST = Decimal(5)


def _weeks(days: int = 49, *, workday: str = "100", weekend: str = "10") -> dict[date, Decimal]:
    span = [TODAY - timedelta(days=number) for number in range(1, days + 1)]
    return {day: Decimal(weekend if day.weekday() > 4 else workday) for day in span}


def test_a_day_far_above_its_weekdays_is_one_and_an_ordinary_day_is_not():
    series = _weeks()
    assert excess(series | {TODAY: Decimal(120)}, TODAY, least=LEAST) is None
    found = excess(series | {TODAY: Decimal(260)}, TODAY, least=LEAST)
    assert found is not None
    assert (found.expected, found.amount, found.times) == (100, 160, Decimal("2.6"))
    saturday = TODAY + timedelta(days=1)
    assert excess(series | {saturday: Decimal(90)}, saturday, least=LEAST) is not None  # a workday's spend on a weekend


def test_one_odd_week_does_not_hide_the_next():
    series = _weeks() | {TODAY - timedelta(weeks=1): Decimal(900), TODAY: Decimal(300)}
    assert excess(series, TODAY, least=LEAST) is not None


def test_little_money_new_series_and_credits_are_none():
    assert excess(_weeks(workday="1") | {TODAY: Decimal(4)}, TODAY, least=LEAST) is None
    assert excess({TODAY: Decimal(10_000)}, TODAY, least=LEAST) is None
    assert excess({TODAY - timedelta(days=3): Decimal(1), TODAY: Decimal(500)}, TODAY, least=LEAST) is None
    assert excess(_weeks() | {TODAY: Decimal(-500)}, TODAY, least=LEAST) is None


@given(st.lists(st.decimals(0, 1000, places=6), min_size=60, max_size=60), st.decimals("0.01", 100, places=2))
def test_the_rule_does_not_depend_on_the_unit_of_money(values, factor):
    series = {TODAY - timedelta(days=number): value for number, value in enumerate(values)}
    scaled = {day: value * factor for day, value in series.items()}
    band, other = expected_on(series, TODAY), expected_on(scaled, TODAY)
    assert (band is None) == (other is None)
    if band and other:
        assert abs(other[1] - band[1] * factor) <= Decimal("1e-12") * (1 + abs(other[1]))


@pytest.fixture
def spent(queues, clickhouse):
    """Seven weeks of a model used by two keys, and a Friday on which one of them runs away."""
    with time_machine.travel(datetime(2026, 11, 20, 12, tzinfo=UTC), tick=True):
        tenant(TENANT)
        tenant("t_stranger1")
        events = []
        for number, (day, charge) in enumerate(sorted(_weeks().items())):
            for key in ("k_web", "k_batch"):
                events.append(_call(2 * number + (key == "k_web"), day, charge / 2, key=key))
        count([*events, _call(500, TODAY, Decimal(50)), _call(501, TODAY, Decimal(250), key="k_batch")])
        with tenant_scope(TENANT):
            yield


def _call(number: int, day: date, charge: Decimal, **fields):
    return usage(number, datetime(day.year, day.month, day.day, 9, tzinfo=UTC), charge=f"{charge:f}", **fields)


@pytest.mark.usefixtures("spent")
def test_it_is_found_once_with_the_key_that_rose_the_most():
    assert look_for_anomalies() == 1
    assert look_for_anomalies() == 0
    row = anomalies().get()
    assert (row.day, row.charge, row.expected) == (TODAY, 300_000_000, 100_000_000)
    assert (row.key_id, row.key_share) == ("k_batch", 100)
    said = told(row, Names({"p_checkout01": "Checkout"}, {"k_batch": "batch-03"}))
    assert said.headline == "Checkout spent 3.0× its usual Friday on gpt-4o-mini, 20 Nov 2026."
    assert said.rest == "+$200.00 above expected, 100% from one key"
    assert said.key == "batch-03"
    assert open_anomaly(TODAY, TODAY) == row
    with tenant_scope("t_stranger1"):
        assert not anomalies().exists()


@pytest.mark.usefixtures("spent")
def test_figures_follow_late_events_and_it_goes_when_the_day_is_priced_anew():
    look_for_anomalies()
    count([_call(502, TODAY, Decimal(30), key="k_batch")])
    look_for_anomalies()
    assert anomalies().get().charge == 330_000_000
    count([_call(501, TODAY, Decimal(1), key="k_batch", rev=2), _call(502, TODAY, Decimal(1), key="k_batch", rev=2)])
    assert look_for_anomalies() == 0
    row = anomalies().get()
    assert row.status == Anomaly.Status.GONE
    with pytest.raises(StatusError, match="priced anew"):
        settle_anomaly(anomaly=row, verdict="dismissed", by=BY)
    count([_call(503, TODAY, Decimal(400))])
    look_for_anomalies()
    assert anomalies().get().status == Anomaly.Status.OPEN


@pytest.mark.usefixtures("spent")
def test_the_series_and_the_keys_say_why():
    look_for_anomalies()
    row = anomalies().get()
    days = series_of(row)
    assert (days[-1].day, days[-1].charge, days[-1].expected) == (TODAY, 300, 100)
    assert len(days) == 43
    assert [(each.key, each.charge, each.expected) for each in keys_on(row)] == [
        ("k_batch", 250, 50),
        ("k_web", 50, 50),
    ]


@pytest.mark.usefixtures("spent")
def test_a_verdict_is_kept_and_what_was_expected_is_not_told_again():
    look_for_anomalies()
    row = settle_anomaly(anomaly=anomalies().get(), verdict="expected", note=" a load test ", by=BY)
    assert (row.status, row.note, row.settled_by) == ("expected", "a load test", BY.id)
    assert AuditEvent.objects.filter(kind="anomaly.settled", target_id=row.pk).count() == 1
    settle_anomaly(anomaly=row, verdict="expected", note="a load test", by=BY)  # nothing changes
    assert AuditEvent.objects.filter(kind="anomaly.settled").count() == 1
    assert open_anomaly(TODAY, TODAY) is None
    with time_machine.travel(datetime(2026, 11, 27, 12, tzinfo=UTC), tick=True):
        count([_call(600, date(2026, 11, 27), Decimal(340))])
        assert look_for_anomalies() == 0
        count([_call(601, date(2026, 11, 27), Decimal(100))])
        assert look_for_anomalies() == 1
    with pytest.raises(InvalidSettingError):
        settle_anomaly(anomaly=row, verdict="gone", by=BY)
    with pytest.raises(InvalidSettingError):
        settle_anomaly(anomaly=row, verdict="dismissed", note="x" * 501, by=BY)


@pytest.mark.usefixtures("spent")
def test_a_dismissed_one_stays_dismissed():
    look_for_anomalies()
    settle_anomaly(anomaly=anomalies().get(), verdict="dismissed", by=BY)
    count([_call(700, TODAY, Decimal(30))])
    assert look_for_anomalies() == 0
    assert anomalies().get().status == Anomaly.Status.DISMISSED
    assert anomalies(status="settled").count() == 1
    assert not anomalies(status="open").exists()


@pytest.mark.usefixtures("queues", "clickhouse")
def test_an_anomaly_of_some_days_ago_stays_open_while_another_tenant_has_another_today():
    odd = TODAY - timedelta(days=LOOK_AT_DAYS - 1)
    with time_machine.travel(datetime(2026, 11, 20, 20, tzinfo=UTC), tick=True):  # the 21st in Kolkata
        tenant(TENANT, zone="Asia/Kolkata")
        count([_call(number, day, charge) for number, (day, charge) in enumerate(_weeks().items()) if day != odd])
        count([_call(500, odd, Decimal(900))])
    with time_machine.travel(datetime(2026, 11, 20, 12, tzinfo=UTC), tick=True):
        look_for_anomalies()
    tenant("t_stranger1")
    with time_machine.travel(datetime(2026, 11, 20, 20, tzinfo=UTC), tick=True), tenant_scope(TENANT):
        assert [(row.day, row.status) for row in anomalies()] == [(odd, "open")]
        look_for_anomalies()
        assert [(row.day, row.status) for row in anomalies()] == [(odd, "open")]
