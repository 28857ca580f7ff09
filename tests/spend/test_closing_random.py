"""Sealing, late events, re-ratings, kills and resumptions in any order: nothing sealed moves, and nothing is lost."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

import spend.ingest as ingest
import spend.rerating.run as run
from pricing.actions.overrides import change_override, create_override
from pricing.override_rules import OverrideSettings
from spend.clickhouse.client import ask
from spend.closing.actions import seal_month
from spend.closing.drafts import Totals, draft
from spend.closing.months import next_month
from spend.closing.run import seal_all
from spend.closing.verify import differences
from spend.models import Booking, MonthSeal, Rerating, Statement
from spend.queries.slices import Slice, cells
from spend.rerating.actions import apply_dry_run, resume_rerating, start_dry_run, stop_rerating
from spend.rerating.run import work_off
from spend.rollup import recount
from tenants.errors import RefusedError
from tenants.models import Tenant
from tenants.scope import across_tenants
from tests.pricing.catalogues import acme
from tests.pricing.conftest import sync_and_approve
from tests.spend.conftest import tenant
from tests.spend.events import TENANT
from tests.spend.test_rerating import BY, SMALL, Killed, small
from wire.events import UsageEvent
from wire.money import usd_string

pytestmark = pytest.mark.usefixtures("queues", "clickhouse")

FIRST, LAST = date(2026, 7, 31), date(2026, 11, 30)
BEGIN = datetime(2026, 8, 1, tzinfo=UTC)  # still July there
DAYS = [0, 1, 30, 31, 61, 62, 80]  # few, as each day is counted by itself
ZONE = "America/New_York"


class World:
    """A tenant, what a gateway acknowledged, and the moves that can be made."""

    def __init__(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dice = random.Random(seed)
        self.patch = monkeypatch
        self.tenant = tenant(TENANT, ZONE)
        sync_and_approve(acme())
        self.events: dict[str, UsageEvent] = {}
        self.numbers = iter(range(1, 10_000))
        self.override = None
        self.sealed: dict[date, bytes] = {}

    def new(self, most: int) -> list[UsageEvent]:
        """Calls at any moment, at a price that is wrong."""
        found = []
        for _ in range(self.dice.randint(1, most)):
            at = BEGIN + timedelta(days=self.dice.choice(DAYS), seconds=self.dice.randrange(86_400))
            charge = usd_string(self.dice.randrange(10**12))
            found.append(
                small(next(self.numbers), at, cost=charge, charge=charge, key=self.dice.choice(["k_a", "k_b"]))
            )
        return found

    def deliver(self, most: int = 12) -> None:
        """New calls and old ones once more, killed anywhere, with a month being sealed in the middle, or neither."""
        batch = self.new(most) + self.dice.sample(sorted(self.events.values(), key=str), min(len(self.events), 5))
        killed = self.dice.choice(["", "", "before", "after"])
        in_the_middle = self.dice.random() < 0.4
        insert = ingest.insert_usage

        def interrupted(events, *, purpose):
            if killed == "before":
                raise Killed
            if in_the_middle:
                self.seal_in_the_middle()
            insert(events, purpose=purpose)
            if killed == "after":
                raise Killed

        with self.patch.context() as patch:
            patch.setattr(ingest, "insert_usage", interrupted)
            with suppress(Killed):
                ingest.store_usage(batch)
        if killed:
            self.dead_are_forgotten(after_a_try=True)
            ingest.store_usage(batch)
        self.events |= {event.event_id: event for event in batch}

    def seal_in_the_middle(self) -> None:
        """A seal that begins while events are decided and not stored must wait for them."""
        self.recount()
        if self.begin_seal():
            assert seal_all() == 0
            assert "still being stored" in MonthSeal.objects.get(state="sealing").waits_for

    def dead_are_forgotten(self, *, after_a_try: bool = False) -> None:
        """The time passes after which whoever holds a booking is dead."""
        if after_a_try and MonthSeal.objects.filter(state="sealing").exists():
            assert seal_all() == 0
        Booking.objects.update(until=timezone.now() - timedelta(seconds=1))

    def begin_seal(self) -> bool:
        found = Tenant.objects.get()
        month = next_month(TENANT)
        if month is None:
            return False
        try:
            seal_month(tenant=found, month=month, confirmed=str(Totals.of(draft(found, month))), by=BY)
        except RefusedError:
            return False
        return True

    def seal(self) -> None:
        self.recount()
        self.begin_seal()
        self.finish_seal()

    def finish_seal(self) -> None:
        while MonthSeal.objects.filter(state="sealing").exists():
            seal_all()
            self.recount()
        for statement in Statement.objects.all():
            self.sealed.setdefault(statement.month, bytes(statement.body))

    def rerate(self) -> None:
        """Another discount, and all priced by it: killed, stopped, with a month sealed meanwhile, and resumed."""
        points = self.dice.choice([-1000, -2500, 1500, 500])
        wanted = OverrideSettings(name="D", kind="percent", basis_points=points, starts_at=BEGIN - timedelta(days=90))
        if self.override is None:
            self.override = create_override(tenant=self.tenant, wanted=wanted, by=BY)
        else:
            self.override = change_override(override=self.override, wanted=wanted, version=None, by=BY)
        self.finish_seal()
        dry = start_dry_run(begin=BEGIN, end=BEGIN + timedelta(days=300), by=BY)
        work_off(dry.pk)
        job = apply_dry_run(dry_run=Rerating.objects.get(pk=dry.pk), by=BY)
        insert, count = run.insert_usage, run._Worker._count

        def killed(*args, **kwargs):
            if self.dice.random() < 0.25:
                raise Killed
            insert(*args, **kwargs)
            if self.dice.random() < 0.25:
                raise Killed

        def count_killed(worker, block, sums):
            if self.dice.random() < 0.2:
                raise Killed
            count(worker, block, sums)

        while Rerating.objects.get(pk=job.pk).status != Rerating.Status.DONE:
            with self.patch.context() as patch:
                patch.setattr(run, "insert_usage", killed)
                patch.setattr(run._Worker, "_count", count_killed)
                with suppress(Killed):
                    work_off(job.pk)
            Rerating.objects.update(claimed_until=None)
            self.dead_are_forgotten()
            job.refresh_from_db()
            if job.status == Rerating.Status.RUNNING and self.dice.random() < 0.5:
                stop_rerating(job=job, by=BY)
                self.seal()
                resume_rerating(job=job, by=BY)
        self.recount()
        right = len(self.events) * SMALL * (10_000 + points) // 10_000
        assert self.total().charge * 10**12 == right

    @staticmethod
    def recount() -> None:
        while recount():
            pass

    @staticmethod
    def total():
        return cells(TENANT, Slice(FIRST, LAST))[0]

    def check(self) -> None:
        self.recount()
        seal_all()
        self.recount()
        self.finish_seal()
        of = Slice(FIRST, LAST)
        assert self.total().requests == len(self.events)
        by_days, by_events = cells(TENANT, of, by=["key"]), cells(TENANT, of, by=["key", "kind"])
        for measure in ("requests", "charge", "cost", "input_tokens"):
            assert sum(getattr(each, measure) for each in by_days) == sum(getattr(each, measure) for each in by_events)
        for statement in Statement.objects.all():
            assert bytes(statement.body) == self.sealed[statement.month]
            assert differences(statement) == []
        assert not Booking.objects.exists()


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_nothing_sealed_moves_and_nothing_is_lost(seed, monkeypatch):
    monkeypatch.setattr(run, "BLOCK", 7)
    with across_tenants("tests"):
        world = World(seed, monkeypatch)
        moves = [world.deliver, world.deliver, world.seal, world.rerate]
        world.deliver(30)
        for _ in range(7):
            world.dice.choice(moves)()
            world.dead_are_forgotten()
            world.check()
        world.rerate()
        world.check()
        held = ask("SELECT count() FROM usage_events FINAL WHERE kind = 'call'", across_tenants=True, purpose="test")
        assert held[0][0] == len(world.events)
