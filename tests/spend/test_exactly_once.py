"""Whatever happens to queues, consumers and tables, every event is counted once: rollup equals raw equals the model."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, ClassVar

import msgspec
import pytest
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

import spend.consumer
import spend.ingest
import spend.rollup
import spend.zones
from spend.clickhouse.client import ask, command, forget_connections
from spend.clickhouse.migrate import migrate
from spend.consumer import UsageConsumer
from spend.models import CountedZone, DirtyDay
from spend.queries.rollup import counted_days
from spend.verifying import GROUP, MEASURES, verify
from spend.zones import Calendar
from tenants.models import Tenant
from tests.engine import clickhouse_process, clickhouse_url
from tests.spend.conftest import Queues, tenant
from tests.spend.events import NOON, usage
from tests.spend.test_consumer import wait_for
from wire.config import Config
from wire.env import Env
from wire.events import Status, UsageEvent, encode
from wire.queues.embedded import EmbeddedQueue
from wire.units import INPUT_TOKENS

LONG = 300  # seconds; a busy machine starts a process slowly
ZONES = {"t_kolkata01": "Asia/Kolkata", "t_newyork01": "America/New_York", "t_unknown01": ""}
# what a consumer does, in this order; it can die before and after each
STEPS: dict[str, tuple[Any, str]] = {
    "insert": (spend.ingest, "insert"),
    "mark": (spend.ingest, "mark"),
    "acknowledge": (EmbeddedQueue, "acknowledge"),
    "count": (spend.rollup, "command"),
    "take the marks away": (spend.rollup, "_delete"),
}


class KilledError(BaseException):
    """A consumer that is no more: nothing of it runs after this."""


class AtOnce:
    """Does at once what a consumer leaves to its other thread: a machine's steps must come out the same each time."""

    def submit(self, work: Callable[..., Any], *args: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*args))
        return done


class Ring(RuleBasedStateMachine):
    """Two consumers over one queue: duplicates, late and overlapping batches, re-ratings, deaths, moves, merges."""

    queues: ClassVar[Queues]
    clock: ClassVar[list[float]]

    def __init__(self) -> None:
        super().__init__()
        for table in ("usage_events", "usage_daily"):
            command(f"TRUNCATE TABLE {table}", purpose="a test")
        DirtyDay.objects.all().delete()
        CountedZone.objects.all().delete()
        self.queue = self.queues.usage["dev"]
        while taken := self.queue.claim(1000):
            self.queue.acknowledge(taken)
        self.latest: dict[str, UsageEvent] = {}
        self.sent: list[UsageEvent] = []
        self.consumers = {name: self._consumer() for name in "ab"}

    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        """New events, late ones among them, and some that were sent before."""
        fresh = data.draw(
            st.lists(
                st.builds(
                    usage,
                    number=st.integers(0, 400),
                    at=st.integers(-60, 60).map(lambda hours: NOON + timedelta(hours=hours)),
                    tenant=st.sampled_from(sorted(ZONES)),
                    kind=st.sampled_from(["call", "call", "adjustment"]),
                    calls=st.integers(0, 2),
                ),
                max_size=8,
            )
        )
        again = data.draw(st.lists(st.sampled_from(self.sent), max_size=4)) if self.sent else []
        for event in fresh:
            if event.event_id not in self.latest:  # an id's tenant never changes
                self.latest[event.event_id] = event
                again.append(event)
        self._send(again)

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
        self._send([rated])

    @rule(name=st.sampled_from("ab"))
    def turn(self, name: str) -> None:
        self.consumers[name].turn()

    @rule(
        name=st.sampled_from("ab"), step=st.sampled_from(sorted(STEPS)), after=st.booleans(), number=st.integers(0, 400)
    )
    def die(self, name: str, step: str, after: bool, number: int) -> None:
        """A consumer is killed at a step, with something in its hands. What it held comes again."""

        def killed() -> None:
            raise KilledError

        self._send_one(number)
        with self._at(step, after, killed), suppress(KilledError):
            self.consumers[name].turn()
        self.consumers[name] = self._consumer()
        self.time_out()

    @rule(
        name=st.sampled_from("ab"),
        step=st.sampled_from(sorted(STEPS)),
        after=st.booleans(),
        late=st.booleans(),
        number=st.integers(0, 400),
    )
    def two_at_once(self, name: str, step: str, after: bool, late: bool, number: int) -> None:
        """While one is at a step, the other takes and counts what it finds; with `late`, the same messages too."""

        def meanwhile() -> None:
            self.clock[0] += 6
            if late:
                self.time_out()
            self.consumers["b" if name == "a" else "a"].turn()

        self._send_one(number)
        with self._at(step, after, meanwhile):
            self.consumers[name].turn()

    @rule()
    def time_out(self) -> None:
        """What is claimed and not acknowledged may be claimed again."""
        with self.queue._transaction():  # type: ignore[attr-defined]  # no clock of a test's own in SQLite
            self.queue._db.execute("UPDATE messages SET visible_at = 0")  # type: ignore[attr-defined]

    @rule(seconds=st.sampled_from([0.1, 1, 6]))
    def wait(self, seconds: float) -> None:
        self.clock[0] += seconds

    @rule(tenant_id=st.sampled_from(sorted(ZONES)[:2]), zone=st.sampled_from(["Etc/GMT+12", "Pacific/Kiritimati"]))
    def move(self, tenant_id: str, zone: str) -> None:
        Tenant.objects.filter(pk=tenant_id).update(time_zone=zone)

    @rule(table=st.sampled_from(["usage_events", "usage_daily"]))
    def merge(self, table: str) -> None:
        command(f"OPTIMIZE TABLE {table} FINAL", purpose="a test")

    @rule()
    def come_to_rest(self) -> None:
        """Everything is taken and counted; then all three must say the same, in the tenants' own zones."""
        quiet = 0
        while quiet < 3:
            self.clock[0] += 6
            self.time_out()
            busy = [consumer.turn() for consumer in self.consumers.values()]
            quiet = 0 if any(busy) or DirtyDay.objects.exists() else quiet + 1
        zones = {tenant_id: zone or "UTC" for tenant_id, zone in Tenant.objects.values_list("id", "time_zone")}
        counted = CountedZone.objects.filter(pk__in=zones)
        assert all((row.zone, row.moving) == (zones[row.tenant_id], False) for row in counted)
        assert self.queue.depth()[:3] == (0, 0, 0)
        self._raw_equals_the_model()
        for tenant_id in ZONES:
            assert not [each for part in verify(tenant_id) for each in part.differences]
            assert self._rollup(tenant_id) == self._expected(tenant_id, Calendar(zones.get(tenant_id, "UTC")))

    def teardown(self) -> None:
        self.come_to_rest()

    def _consumer(self) -> UsageConsumer:
        consumer = self.queues.usage_consumer()
        consumer._aside = AtOnce()  # type: ignore[assignment]
        return consumer

    def _send_one(self, number: int) -> None:
        """An event on a day of its own, so that no other mark makes up for a lost one."""
        event = usage(number, NOON + timedelta(days=3 + number), tenant=sorted(ZONES)[number % 3])
        self.latest.setdefault(event.event_id, event)
        self._send([event])

    def _send(self, events: list[UsageEvent]) -> None:
        self.sent += events
        self.queue.send([encode(event) for event in events])

    @contextmanager
    def _at(self, step: str, after: bool, happens: Callable[[], None]) -> Iterator[None]:
        """Let something happen once, before or after a step."""
        place, name = STEPS[step]
        work, left = getattr(place, name), [happens]

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            now = left.pop() if left else (lambda: None)
            if not after:
                now()
            done = work(*args, **kwargs)
            if after:
                now()
            return done

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, name, wrapped)
            yield

    def _raw_equals_the_model(self) -> None:
        rows = ask(
            "SELECT toString(event_id), rev, toString(charge) FROM usage_events FINAL",
            across_tenants=True,
            purpose="a test",
        )
        raw = {event_id: (rev, None if charge is None else Decimal(charge)) for event_id, rev, charge in rows}
        assert len(raw) == len(rows)
        assert raw == {
            event_id: (event.rev, None if event.charge is None else Decimal(event.charge))
            for event_id, event in self.latest.items()
        }

    @staticmethod
    def _rollup(tenant_id: str) -> dict[Any, list[Any]]:
        asked = (
            f"SELECT day, {', '.join(GROUP)}, {', '.join(MEASURES)} FROM {counted_days('tenant_id = %(tenant_id)s')}"
        )
        rows = ask(asked, tenant_id=tenant_id, purpose="a test")
        groups = {row[: 1 + len(GROUP)]: list(row[1 + len(GROUP) :]) for row in rows}
        assert len(groups) == len(rows)
        return {group: sums for group, sums in groups.items() if any(sums)}

    def _expected(self, tenant_id: str, days: Calendar) -> dict[Any, list[Any]]:
        found: dict[Any, dict[str, Any]] = defaultdict(lambda: dict.fromkeys(MEASURES, 0))
        for event in self.latest.values():
            if event.tenant != tenant_id:
                continue
            model = event.model_priced or event.model_asked
            group = (event.project, event.key, event.provider, model, event.tier, event.env, event.status.value)
            sums = found[days.day_of(event.ts), *group]
            went_in = sum(count for name, count in event.units.items() if name in INPUT_TOKENS)
            calls = event.calls if event.kind == "call" else 0
            unpriced = event.charge is None
            sums["requests"] += calls
            sums["input_tokens"] += went_in
            sums["output_tokens"] += event.units["output"]
            sums["unpriced_requests"] += calls if unpriced else 0
            sums["unpriced_tokens"] += went_in + event.units["output"] if unpriced else 0
            sums["cost"] += Decimal(event.cost or 0)
            sums["charge"] += Decimal(event.charge or 0)
            sums["duration_ms"] += event.duration_ms
        return {group: list(sums.values()) for group, sums in found.items() if any(sums.values())}


@pytest.mark.timeout(600)  # seconds are enough on an idle core
@pytest.mark.usefixtures("clickhouse")
def test_whatever_happens_the_rollup_equals_the_events_equals_the_model(queues, monkeypatch):
    """Time passes when a rule says so, and claims are small, so that consumers always claim ahead."""
    for name, zone in ZONES.items():
        if zone:
            tenant(name, zone)
    Ring.queues, Ring.clock = queues, [1000.0]
    clock = SimpleNamespace(monotonic=lambda: Ring.clock[0], time_ns=lambda: 1_800_000_000_000_000_000)
    for module in (spend.consumer, spend.zones):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(spend.consumer, "AT_ONCE", 6)
    small = queues.usage["dev"].limits._replace(batch=3, visibility_seconds=600, retries=10_000)
    monkeypatch.setattr(EmbeddedQueue, "__init__", _with_limits(EmbeddedQueue.__init__, small))
    queues.usage["dev"].limits = small
    moderate = settings(max_examples=10, stateful_step_count=16, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Ring, settings=moderate)


def _with_limits(make: Callable[..., None], limits: Any) -> Callable[..., None]:
    def made(self: EmbeddedQueue, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        self.limits = limits

    return made


@pytest.mark.timeout(900)
def test_consumers_that_are_killed_again_and_again_count_every_event_once(transactional_db, settings, tmp_path):
    """Two real processes over one queue, each killed with SIGKILL at any moment; the last ones come to the end."""
    folder = tmp_path / "engine"
    folder.mkdir()
    with clickhouse_process(folder) as (port, _):
        settings.CLICKHOUSE_URL = clickhouse_url(port)
        migrate()
        environment = os.environ | {
            "SPENDOPS_DATA": str(tmp_path),
            "SPENDOPS_CLICKHOUSE_URL": settings.CLICKHOUSE_URL,
            "SPENDOPS_LOG_LEVEL": "error",
            "SPENDOPS_QUEUE_BATCH": "40",
            "SPENDOPS_QUEUE_VISIBILITY_SECONDS": "1",
            "SPENDOPS_QUEUE_RETRIES": "1000",
        }
        manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
        subprocess.run([*manage, "migrate", "--verbosity", "0"], env=environment, check=True, timeout=120)
        events = [usage(number, charge=f"{number}.000000000001") for number in range(4000)]
        config = Config.load(Env({name: value for name, value in environment.items() if name.startswith("SPENDOPS_")}))
        with closing(config.open_queue("usage-events", "dev")) as queue:
            queue.send([encode(event) for event in events])
            dice = random.Random(6)
            consumers = [_consumer(manage, environment) for _ in range(2)]
            try:
                for life in range(4):
                    left = queue.depth()
                    wait_for(lambda left=left: sum(queue.depth()[:2]) < sum(left[:2]) or not sum(left[:2]), LONG)
                    wait_for(_soon(dice), LONG)
                    consumers[life % 2].send_signal(signal.SIGKILL)
                    consumers[life % 2].wait()
                    consumers[life % 2] = _consumer(manage, environment)
                wait_for(lambda: queue.depth()[:3] == (0, 0, 0), LONG)
                wait_for(lambda: _counted() == (len(events), _sum_of(events)), LONG)
            finally:
                for process in consumers:
                    process.kill()
                    process.wait()
        stored = ask("SELECT count(), sum(charge) FROM usage_events FINAL", across_tenants=True, purpose="a test")
        assert stored == [(len(events), _sum_of(events))]
    forget_connections()
    connection.close()


def _consumer(manage: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*manage, "consume", "usage"], env=environment)


def _soon(dice: random.Random) -> Callable[[], bool]:
    """After some looks at the clock: a moment that nobody chose."""
    looks = iter(range(dice.randrange(30)))
    return lambda: next(looks, None) is None


def _counted() -> tuple[int, Decimal]:
    rows = ask("SELECT sum(requests), sum(charge) FROM usage_daily FINAL", across_tenants=True, purpose="a test")
    return rows[0]


def _sum_of(events: list[UsageEvent]) -> Decimal:
    return sum((Decimal(event.charge or 0) for event in events), Decimal(0))
