"""The rollup equals the raw events, group by group, whatever comes in which order."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import spend.rollup
from spend.clickhouse.client import ask, command
from spend.ingest import store_usage
from spend.models import CountedZone, DirtyDay
from spend.moving import follow_zones
from spend.queries.daily import daily_spend
from spend.queries.rollup import GROUPS
from spend.queries.totals import totals
from spend.rollup import recount
from spend.zones import Calendar, Calendars, ms_of
from tenants.models import Tenant
from tests.spend.conftest import count, tenant
from tests.spend.events import NOON, TENANT, unpriced, usage
from wire.events import Status, UsageEvent

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


class Ring(RuleBasedStateMachine):
    """Duplicates, overlapping batches, late events, re-ratings, moves, merges and recounts in any order."""

    def __init__(self) -> None:
        super().__init__()
        for table in ("usage_events", "usage_daily"):
            command(f"TRUNCATE TABLE {table}", purpose="test")
        DirtyDay.objects.all().delete()
        CountedZone.objects.all().delete()
        self.calendars = Calendars()  # a consumer's, which may know an old zone
        self.latest: dict[str, UsageEvent] = {}
        self.delivered: list[UsageEvent] = []

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """New events, and some that were delivered before."""
        fresh = data.draw(
            st.lists(
                st.builds(
                    usage,
                    number=st.integers(0, 400),
                    at=st.integers(-60, 60).map(lambda hours: NOON + timedelta(hours=hours)),
                    tenant=st.sampled_from([*ZONES, "t_unknown01"]),
                    key=st.just("k_web"),
                ),
                max_size=6,
            )
        )
        again = data.draw(st.lists(st.sampled_from(self.delivered), max_size=4)) if self.delivered else []
        batch = [each for each in [*again, *fresh] if each.event_id not in self.latest or each in again]
        for event in batch:  # an id's tenant never changes
            if event.event_id not in self.latest:
                self.latest[event.event_id] = event
        self._store([each for each in batch if self.latest[each.event_id].tenant == each.tenant])

    @precondition(lambda self: self.latest)
    @rule(data=st.data())
    def rate_anew(self, data: st.DataObject) -> None:
        """A higher rev of an event, with another model, status and price."""
        event = data.draw(st.sampled_from(sorted(self.latest.values(), key=lambda each: each.event_id)))
        cents = data.draw(st.integers(0, 10**6))
        rated = msgspec.structs.replace(
            event,
            rev=event.rev + 1,
            model_priced=data.draw(st.sampled_from(["", "gpt-4o", "gpt-5"])),
            status=data.draw(st.sampled_from(Status)),
            cost=data.draw(st.none() | st.just(f"0.{cents:012d}")),
            charge=data.draw(st.none() | st.just(f"{cents}.{cents:012d}")),
        )
        self.latest[event.event_id] = rated
        self._store([rated])

    @rule(tenant_id=st.sampled_from(sorted(ZONES)), zone=st.sampled_from(["Etc/GMT+12", "UTC", "Pacific/Kiritimati"]))
    def change_the_zone(self, tenant_id: str, zone: str) -> None:
        Tenant.objects.filter(pk=tenant_id).update(time_zone=zone)

    @rule()
    def know_the_zones(self) -> None:
        self.calendars = Calendars()

    @rule()
    def follow(self) -> None:
        follow_zones()

    @rule()
    def count(self) -> None:
        recount()

    @rule(table=st.sampled_from(["usage_events", "usage_daily"]))
    def merge(self, table: str) -> None:
        command(f"OPTIMIZE TABLE {table} FINAL", purpose="test")

    @invariant()
    def the_rollup_equals_the_events(self) -> None:
        if DirtyDay.objects.exists():
            return
        counted = dict(CountedZone.objects.values_list("tenant_id", "zone"))
        for tenant_id in [*ZONES, "t_unknown01"]:
            days = Calendar(counted.get(tenant_id, "UTC"))
            expected: dict[tuple[date, str], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 4)
            for event in self.latest.values():
                if event.tenant == tenant_id:
                    sums = expected[days.day_of(event.ts), event.model_priced or event.model_asked]
                    more = (1, event.cost or 0, event.charge or 0, event.charge is None)
                    sums[:] = [before + Decimal(each) for before, each in zip(sums, more, strict=True)]
            rows = daily_spend(tenant_id, DAY - timedelta(days=5), DAY + timedelta(days=5), group_by="model")
            assert {
                (row.day, row.group): [row.requests, row.cost, row.charge, row.unpriced] for row in rows
            } == expected

    def _store(self, events: list[UsageEvent]) -> None:
        if events:
            store_usage(events, calendars=self.calendars)
            self.delivered += events

    def teardown(self) -> None:
        """In the end everything is counted, in the tenants' own zones."""
        follow_zones()
        recount()
        zones = dict(Tenant.objects.values_list("id", "time_zone"))
        counted = CountedZone.objects.exclude(tenant_id="t_unknown01")
        assert all((row.zone, row.moving) == (zones[row.tenant_id], False) for row in counted)
        self.the_rollup_equals_the_events()


def test_whatever_happens_the_rollup_equals_the_events():
    for name, zone in ZONES.items():
        tenant(name, zone)
    moderate = settings(max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Ring, settings=moderate)


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


def test_a_recount_in_the_old_zone_that_ends_after_a_move_undoes_nothing(monkeypatch):
    owner = tenant(TENANT, "Asia/Kolkata")
    evening = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
    store_usage([usage(1, evening)])
    run = spend.rollup.command

    def and_meanwhile(*args, **kwargs):
        with monkeypatch.context() as inner:
            inner.setattr(spend.rollup, "command", run)
            type(owner).objects.update(time_zone="America/New_York")
            follow_zones()
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
    with pytest.raises(ValueError, match="cannot be grouped by 'end_user'"):
        daily_spend(TENANT, DAY, DAY, group_by="end_user")
