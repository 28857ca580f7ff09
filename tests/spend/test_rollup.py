"""The rollup equals the raw events, group by group, whatever comes in which order."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

import spend.rollup
from spend.clickhouse.client import ask, command
from spend.ingest import store_usage
from spend.models import DirtyDay
from spend.moving import follow_zones
from spend.queries.daily import daily_spend
from spend.queries.model_use import model_use, model_use_everywhere
from spend.queries.rollup import GROUPS
from spend.queries.slices import Slice, cells
from spend.queries.totals import totals
from spend.rollup import recount
from spend.zones import Calendar, ms_of
from tests.spend.conftest import count, tenant
from tests.spend.events import NOON, TENANT, unpriced, usage
from wire.events import Status

pytestmark = pytest.mark.usefixtures("db", "clickhouse")
DAY = NOON.date()
ZONES = {"t_kolkata01": "Asia/Kolkata", "t_newyork01": "America/New_York", "t_chatham01": "Pacific/Chatham"}


def test_events_are_on_the_local_day_of_their_tenant():
    for name, zone in ZONES.items():
        tenant(name, zone)
    moments = [datetime(2026, 11, 1, 3, 0, tzinfo=UTC) + timedelta(hours=hours) for hours in range(49)]
    moments += [datetime(2026, 9, 26, 12, 0, tzinfo=UTC) + timedelta(minutes=15 * number) for number in range(120)]
    names = [*ZONES, "t_unknown01"]
    count([usage(number, at, tenant=name) for name in names for number, at in enumerate(moments)])
    for name in names:
        expected: dict[date, int] = defaultdict(int)
        for at in moments:
            expected[Calendar(ZONES.get(name, "UTC")).day_of(ms_of(at))] += 1
        rows = daily_spend(name, date(2026, 9, 1), date(2026, 12, 1), group_by="model")
        assert {row.day: row.requests for row in rows} == expected


@pytest.mark.parametrize("zone", ["UTC", *ZONES.values()])
def test_single_days_sum_to_the_range(zone):
    tenant(TENANT, zone)
    count([usage(number, NOON + timedelta(hours=number), charge=f"0.{number:012d}") for number in range(150)])
    first, last = DAY - timedelta(days=1), DAY + timedelta(days=8)
    whole = totals(TENANT, first, last)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    singles = [totals(TENANT, day, day) for day in days]
    assert whole == tuple(map(sum, zip(*singles, strict=True)))
    assert whole.requests == 150
    rows = daily_spend(TENANT, first, last, group_by="key")
    assert sum(row.charge for row in rows) == whole.charge == Decimal(sum(range(150))).scaleb(-12)


def test_a_late_event_is_counted_on_its_day():
    count([usage(1)])
    count([usage(2, NOON - timedelta(days=40)), usage(3, NOON - timedelta(days=400))])
    assert totals(TENANT, DAY, DAY).requests == 1
    assert totals(TENANT, DAY - timedelta(days=40), DAY).requests == 2
    assert totals(TENANT, DAY - timedelta(days=400), DAY).requests == 3


def test_a_rerating_moves_spend_to_the_other_model_and_leaves_nothing_behind():
    first = unpriced(1)
    count([first, usage(2)])
    assert totals(TENANT, DAY, DAY).unpriced_requests == 1
    count([msgspec.structs.replace(first, rev=2, model_priced="acme-8b", cost="2", charge="3")])
    rows = daily_spend(TENANT, DAY, DAY, group_by="model")
    assert [(row.group, row.requests, row.charge) for row in rows] == [
        ("acme-8b", 1, Decimal(3)),
        ("gpt-4o-mini", 1, Decimal("0.00004155")),
    ]
    assert totals(TENANT, DAY, DAY).unpriced_requests == 0
    standing = "SELECT sum(requests), sum(charge) FROM usage_daily FINAL"  # what a reader from outside would ask
    assert ask(standing, purpose="test", across_tenants=True) == [(2, Decimal("3.00004155"))]


def test_an_adjustment_is_money_but_no_request():
    count([usage(1), usage(2, kind="adjustment", cost="-0.5", charge="-0.5", units={})])
    assert totals(TENANT, DAY, DAY)[:1] + totals(TENANT, DAY, DAY)[5:6] == (1, Decimal("-0.49995845"))


def test_failed_calls_are_errors_and_cancelled_ones_are_not():
    for number, status in enumerate(Status):
        store_usage([usage(number, status=status)])
    recount()
    assert (totals(TENANT, DAY, DAY).requests, totals(TENANT, DAY, DAY).errors) == (5, 3)


def test_a_stale_recount_does_not_bring_a_vanished_group_back(monkeypatch):
    """A recount reads the day; a re-rating and its recount come in between; only then the first one writes."""
    first = unpriced(1)
    store_usage([first])
    stale = []

    def keep(sql, parameters, *, purpose):
        select = sql[sql.index("SELECT") :]
        stale.extend(ask(select, parameters, purpose=purpose, across_tenants=True))

    with monkeypatch.context() as patch:
        patch.setattr(spend.rollup, "command", keep)
        recount()
    count([msgspec.structs.replace(first, rev=2, model_priced="acme-8b", cost="2", charge="3")])
    columns = "tenant_id, project_id, key_id, provider, model, tier, env, status, day, requests, input_tokens"
    columns += ", output_tokens, cached_tokens, unpriced_requests, unpriced_tokens, cost, charge, duration_ms, ver"
    (row,) = stale
    values = ", ".join(f"'{value}'" for value in row)
    command(f"INSERT INTO usage_daily ({columns}) VALUES ({values})", purpose="test")
    rows = daily_spend(TENANT, DAY, DAY, group_by="model")
    assert [(row.group, row.requests, row.charge) for row in rows] == [("acme-8b", 1, Decimal(3))]
    # nor where only that group is asked for
    assert cells(TENANT, Slice(DAY, DAY, only={"model": ["acme-7b"]})) == []
    assert [cell.requests for cell in cells(TENANT, Slice(DAY, DAY, without={"model": ["acme-7b"]}))] == [1]
    assert model_use(TENANT, [("openai", "acme-7b")], DAY, DAY, keys=None, most=5).whole.requests == 0
    assert model_use_everywhere([("openai", "acme-7b")], DAY, DAY, most=5).whole.requests == 0


def test_a_mark_that_is_set_during_a_recount_stands(monkeypatch):
    store_usage([usage(1)])
    run = spend.rollup.command

    def and_meanwhile(*args, **kwargs):
        run(*args, **kwargs)
        store_usage([usage(2)])

    with monkeypatch.context() as patch:
        patch.setattr(spend.rollup, "command", and_meanwhile)
        assert recount() == 1
    assert DirtyDay.objects.count() == 1
    assert totals(TENANT, DAY, DAY).requests == 1
    assert recount() == 1
    assert totals(TENANT, DAY, DAY).requests == 2


def test_many_tenants_and_marks_are_counted_in_portions(monkeypatch):
    monkeypatch.setattr(spend.rollup, "TENANTS_AT_ONCE", 3)
    monkeypatch.setattr(spend.rollup, "MARKS_AT_ONCE", 7)
    events = [usage(number, tenant=f"t_{number:08d}") for number in range(10)]
    store_usage(events)
    assert [recount(), recount(), recount()] == [7, 3, 0]
    assert all(totals(event.tenant, DAY, DAY).requests == 1 for event in events)


def test_a_group_is_named_as_the_model_was_asked_for_when_it_has_no_price():
    count([unpriced(1)])
    assert [row.group for row in daily_spend(TENANT, DAY, DAY, group_by="model")] == ["acme-7b"]


def test_a_tenant_that_moves_has_its_days_in_the_new_zone():
    owner = tenant(TENANT, "Asia/Kolkata")
    evening = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)  # the 21st in India
    count([usage(number, evening) for number in range(5)] + [usage(9, evening - timedelta(hours=4))])
    assert [totals(TENANT, day, day).requests for day in (DAY, DAY + timedelta(days=1))] == [1, 5]
    type(owner).objects.update(time_zone="America/New_York")
    assert (follow_zones(), follow_zones()) == (1, 0)
    while recount():
        pass
    assert [totals(TENANT, day, day).requests for day in (DAY, DAY + timedelta(days=1))] == [6, 0]
    count([usage(10, evening)])
    assert totals(TENANT, DAY, DAY).requests == 7
    type(owner).objects.update(time_zone="Asia/Kolkata")  # and back: fewer events on a day than it had
    follow_zones()
    recount()
    assert [totals(TENANT, day, day).requests for day in (DAY, DAY + timedelta(days=1))] == [1, 6]


@pytest.mark.parametrize("dies_at", ["ask", "DirtyDay.objects.bulk_create"])
def test_a_move_that_was_broken_off_is_taken_up_again(dies_at, monkeypatch):
    owner = tenant(TENANT, "Asia/Kolkata")
    evening = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
    count([usage(1, evening)])
    type(owner).objects.update(time_zone="America/New_York")

    def dying(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"spend.moving.{dies_at}", dying)
        with pytest.raises(KeyboardInterrupt):
            follow_zones()
    assert follow_zones() == 1
    recount()
    assert [totals(TENANT, day, day).requests for day in (DAY, DAY + timedelta(days=1))] == [1, 0]


@pytest.mark.parametrize("counted", [False, True], ids=["marked meanwhile", "and counted meanwhile"])
def test_a_recount_in_the_old_zone_that_ends_after_a_move_undoes_nothing(monkeypatch, counted):
    """Counted by whoever moved the tenant, too: that takes the mark away while nothing stands in the rollup yet."""
    owner = tenant(TENANT, "Asia/Kolkata")
    evening = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
    store_usage([usage(1, evening)])
    run = spend.rollup.command

    def and_meanwhile(*args, **kwargs):
        with monkeypatch.context() as inner:
            inner.setattr(spend.rollup, "command", run)
            type(owner).objects.update(time_zone="America/New_York")
            follow_zones()
            while counted and recount():
                pass
        run(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(spend.rollup, "command", and_meanwhile)
        recount()
    follow_zones()
    while recount():
        pass
    assert [totals(TENANT, day, day).requests for day in (DAY, DAY + timedelta(days=1))] == [1, 0]


def test_every_grouping_sums_to_the_same():
    count([usage(number, env="prod" if number % 3 else "dev", key=f"k_{number % 4}") for number in range(20)])
    for group_by in GROUPS:
        assert sum(row.requests for row in daily_spend(TENANT, DAY, DAY, group_by=group_by)) == 20
    with pytest.raises(ValueError, match="cannot be grouped by 'weather'"):
        daily_spend(TENANT, DAY, DAY, group_by="weather")
