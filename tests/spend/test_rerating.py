"""Re-rating: past events priced anew, and every figure that follows from them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.utils import timezone

import spend.rerating.run as run
from budgets.evaluator import evaluate
from changes.actor import Actor
from changes.models import AuditEvent
from pricing.actions.by_hand import add_hand_price, change_hand_price
from pricing.actions.overrides import create_override
from pricing.explain import explain
from pricing.models import HandPrice
from pricing.override_rules import OverrideSettings
from spend.clickhouse.client import ask
from spend.clickhouse.errors import RefusedError, UnavailableError
from spend.ingest import store_usage
from spend.models import DirtyDay, ReratedTenant, Rerating, ReratingPlan
from spend.queries.daily import daily_spend
from spend.queries.requests import request_by_id
from spend.queries.totals import totals
from spend.queries.windows import Window, spent_in_windows
from spend.rerating.actions import apply_dry_run, resume_rerating, start_dry_run, stop_rerating
from spend.rerating.queries import found_by
from spend.rerating.run import work_off
from spend.rerating.sums import Sums
from spend.rollup import recount
from spend.tasks import go_on_with_reratings
from spend.verifying import verify
from spend.zones import Calendar
from tenants.errors import InvalidSettingError, StatusError
from tenants.errors import RefusedError as TenantsRefusedError
from tenants.models import Tenant
from tests.budgets.making import make_budget, period_of
from tests.pricing.catalogues import acme, catalogue, listed, provider
from tests.pricing.conftest import sync_and_approve
from tests.spend.conftest import count, tenant
from tests.spend.events import NOON, TENANT, usage
from wire.events import Status, UsageEvent, UsageSource
from wire.money import pico_from_usd_string, usd_string
from wire.prices import PriceVariant, ProviderRules

pytestmark = pytest.mark.usefixtures("db", "clickhouse")

BY = Actor("user", "u_somebody0001", role="platform_admin")
DAY = NOON.date()
MONTH_AGO, TOMORROW = NOON - timedelta(days=31), NOON + timedelta(days=1)
UNITS = {"input": 1000, "output": 200}
SMALL = 1000 * 150_000 + 200 * 600_000  # of the catalogue's model "small"


class Killed(BaseException):
    """What a kill looks like from inside."""


def small(number: int = 0, at: datetime = NOON, **fields: Any) -> UsageEvent:
    """A call of Acme's small model that was priced twice too high."""
    cost = usd_string(2 * SMALL)
    known = {"provider": "acme", "model_asked": "small", "model_priced": "small", "units": UNITS}
    return usage(number, at, **(known | {"cost": cost, "charge": cost} | fields))


def private(number: int = 0, at: datetime = NOON, **fields: Any) -> UsageEvent:
    """A call of a model that nobody priced."""
    known = {"provider": "acme", "model_asked": "private-7b", "model_priced": "", "units": UNITS}
    return usage(number, at, **(known | {"cost": None, "charge": None} | fields))


def tried(**scope: Any) -> Rerating:
    """A dry run, done."""
    job = start_dry_run(**({"begin": MONTH_AGO, "end": TOMORROW} | scope), by=BY)
    work_off(job.pk)
    job.refresh_from_db()
    assert job.status == Rerating.Status.DONE, job.error
    return job


def rerated(**scope: Any) -> Rerating:
    """A real re-rating, done, and its days counted."""
    job = apply_dry_run(dry_run=tried(**scope), by=BY)
    work_off(job.pk)
    job.refresh_from_db()
    assert job.status == Rerating.Status.DONE, job.error
    while recount():
        pass
    return job


def standing() -> dict[str, tuple]:
    """Every event as it stands: rev, model, version, cost and charge in pico-USD."""
    sql = (
        "SELECT toString(event_id), rev, model_priced, price_version, toString(cost), toString(charge)"
        " FROM usage_events FINAL"
    )
    rows = ask(sql, across_tenants=True, purpose="test")
    return {row[0]: (*row[1:4], *(each and pico_from_usd_string(each) for each in row[4:])) for row in rows}


@pytest.fixture
def book() -> None:
    """A tenant and the small catalogue's price book."""
    tenant(TENANT)
    sync_and_approve(acme())


def test_a_dry_run_says_what_would_change_and_writes_nothing(book):
    count([small(1), small(2), private(3), small(4, cost=usd_string(SMALL), charge=usd_string(SMALL))])
    before = standing()
    job = tried()
    assert standing() == before
    assert not DirtyDay.objects.exists()
    assert found_by(job).whole == Sums(
        events=4,
        changed=2,
        cost_before=5 * SMALL,
        cost_after=3 * SMALL,
        charge_before=5 * SMALL,
        charge_after=3 * SMALL,
        unpriced_before=1,
        unpriced_after=1,
    )
    assert (job.events, job.total, job.changed) == (4, 4, 2)


def test_events_whose_result_differs_are_written_with_the_next_rev_and_no_others(book):
    right = small(4, cost=usd_string(SMALL), charge=usd_string(SMALL), price_version=0)
    count([small(1), small(2, rev=5), right])
    job = rerated()
    found = standing()
    assert found[small(1).event_id] == (2, "small", 1, SMALL, SMALL)
    assert found[small(2).event_id] == (6, "small", 1, SMALL, SMALL)
    assert found[right.event_id] == (1, "small", 0, SMALL, SMALL)
    assert totals(TENANT, DAY, DAY).charge * 10**12 == 3 * SMALL
    assert job.changed == 2
    assert not ReratingPlan.objects.exists()


def test_everything_else_of_an_event_stays(book):
    event = small(
        1,
        end_user="asha",
        tags={"team": "search"},
        tier="bulk",
        session="s1",
        credential="main",
        upstream_request_id="up_1",
        streamed=True,
        request_id="req_1",
        usage_source=UsageSource.ESTIMATED,
        status=Status.CANCELLED,
        ttfb_ms=5,
    )
    store_usage([event])
    before = request_by_id(TENANT, event.event_id)
    rerated()
    after = request_by_id(TENANT, event.event_id)
    changed = {name for name in before._fields if getattr(before, name) != getattr(after, name)}
    assert changed == {"rev", "cost", "charge"}


def test_estimated_and_imported_calls_are_rerated_and_adjustments_are_not(book):
    events = [small(number, usage_source=source) for number, source in enumerate(UsageSource)]
    adjustment = small(9, kind="adjustment", units={}, cost="-1", charge="-1")
    count([*events, adjustment])
    assert rerated().changed == 3
    found = standing()
    assert {found[event.event_id][3] for event in events} == {SMALL}
    assert found[adjustment.event_id][::3] == (1, -(10**12))
    assert totals(TENANT, DAY, DAY).charge * 10**12 == 3 * SMALL - 10**12


def test_a_scope_narrows_to_a_tenant_a_model_an_hour_and_what_is_unpriced(book):
    tenant("t_other0001")
    hand_price()
    events = {
        "this": private(1),
        "priced": private(2, model_priced="private-7b", cost="1", charge="1"),
        "earlier": private(3, NOON - timedelta(milliseconds=1)),
        "later": private(4, NOON + timedelta(hours=1)),
        "other": private(5, tenant="t_other0001"),
        "model": small(6),
        "provider": private(7, provider="mistral"),
    }
    count(list(events.values()))
    hour = {"begin": NOON, "end": NOON + timedelta(hours=1)}
    job = rerated(tenant_id=TENANT, provider="acme", model="private-7b", unpriced_only=True, **hour)
    assert (job.events, job.changed) == (1, 1)
    revs = {name: standing()[event.event_id][0] for name, event in events.items()}
    assert revs == dict.fromkeys(events, 1) | {"this": 2}


def test_a_call_keeps_the_price_that_it_had_when_the_book_knows_its_model_no_more(book):
    gone = small(1, model_asked="gone", model_priced="gone")
    part = small(2, units={"images": 3, "input": 5})
    count([gone, part])
    assert rerated().changed == 0


def test_a_call_that_was_led_elsewhere_is_priced_as_the_model_that_answered(book):
    led = small(1, model_asked="model-19")
    alias = small(2, model_asked="our-deployment")
    renamed = small(3, model_asked="small-latest", model_priced="")
    count([led, alias, renamed])
    prices = listed("small", input=150_000, output=600_000)
    rules = provider("acme", prices, *(listed(f"model-{n}", input=n, output=2 * n) for n in range(1, 20)))
    found_by_both = msgspec.structs.replace(
        rules, rules=ProviderRules((*rules.rules.rules, ({"equals": "small-latest"}, "small")))
    )
    sync_and_approve(catalogue(found_by_both, version="2"))
    rerated()
    assert {event.event_id: standing()[event.event_id][1::2] for event in (led, alias, renamed)} == {
        event.event_id: ("small", SMALL) for event in (led, alias, renamed)
    }


def test_failed_calls_cost_nothing(book):
    count([private(1, units={}, cost="0", charge="0", status=Status.ERROR)])
    assert rerated().changed == 0


def test_a_service_tier_has_its_price():
    tenant(TENANT)
    flex = PriceVariant({"service_tier": "flex"}, {"input": 75_000, "output": 300_000})
    sync_and_approve(catalogue(provider("acme", listed("small", variants=(flex,), input=150_000, output=600_000))))
    event = small(1, service_tier="flex")
    count([event])
    rerated()
    assert standing()[event.event_id][3] == SMALL // 2


def test_a_late_event_has_the_price_of_its_day():
    tenant(TENANT)
    sync_and_approve(acme())
    sync_and_approve(acme(input=300_000))
    now = timezone.now()
    late, fresh = small(1, now - timedelta(days=2)), small(2, now)
    count([late, fresh])
    rerated(begin=now - timedelta(days=3), end=now + timedelta(hours=1))
    found = standing()
    assert found[late.event_id][2:4] == (2, SMALL)
    assert found[fresh.event_id][2:4] == (2, SMALL + 1000 * 150_000)


def test_overrides_charge_as_of_the_calls_own_time(book):
    override(basis_points=-1500, starts_at=NOON, ends_at=NOON + timedelta(hours=1))
    before, within, after = (small(n, NOON + timedelta(minutes=60 * n - 30)) for n in range(3))
    count([before, within, after])
    rerated()
    found = standing()
    assert [found[each.event_id][3:] for each in (before, within, after)] == [
        (SMALL, SMALL),
        (SMALL, SMALL * 85 // 100),
        (SMALL, SMALL),
    ]


def test_an_override_charges_a_model_that_has_no_list_price(book):
    override(kind="absolute", model="private-*", prices={"input": 10, "output": 20})
    event = private(1)
    count([event])
    rerated()
    assert standing()[event.event_id][1:] == ("", 1, None, 14_000)
    assert totals(TENANT, DAY, DAY).unpriced_requests == 0


def test_a_charge_that_a_gateway_did_not_know_is_worked_out(book):
    override(basis_points=-1500)
    event = small(1, cost=usd_string(SMALL), charge=None)
    count([event])
    assert rerated(unpriced_only=True).changed == 1
    assert standing()[event.event_id][3:] == (SMALL, SMALL * 85 // 100)


def test_the_explanation_equals_what_was_written(book):
    event = small(1)
    count([event])
    rerated()
    row = request_by_id(TENANT, event.event_id)
    told = explain(
        provider=row.provider,
        model_priced=row.model_priced,
        price_version=row.price_version,
        ts_ms=event.ts,
        units=row.units,
        service_tier=row.service_tier,
    )
    assert told.total == row.cost * 10**12 == SMALL


def test_budgets_follow():
    owner = tenant(TENANT)
    sync_and_approve(acme())
    now = timezone.now()
    spent = small(1, now)
    budget = make_budget(owner, usd_string(SMALL * 3 // 2)[:8], now=now)
    count([spent])
    evaluate(now=now)
    assert period_of(budget).exhausted_at is not None
    rerated(begin=now - timedelta(hours=1), end=now + timedelta(hours=1))
    evaluate(now=now)
    assert period_of(budget).exhausted_at is None
    window = Window("w", TENANT, now.date(), now.date())
    assert spent_in_windows([window])["w"].charge == SMALL


# -- the same sums, whatever happens on the way

ZONES = {TENANT: "Asia/Kolkata", "t_other0001": "UTC", "t_third0001": "America/St_Johns"}
DISCOUNT = 1234  # basis points off, for the second tenant
PRICES = {"small": (150_000, 600_000), "model-7": (7, 14), "private-7b": (11_111, 22_223)}


def past(dice: random.Random, number: int) -> list[UsageEvent]:
    """Calls of some hours and days, some crowded, priced rightly, wrongly or not at all."""
    events = []
    for each in range(number):
        at = NOON - timedelta(hours=dice.choice((0, 0, 0, 1, 2, 30, 700)), milliseconds=dice.randrange(1000))
        model = dice.choice([*PRICES, "nobodys"])
        units = {"input": dice.randrange(1, 10**6), "output": dice.randrange(10**5)}
        told = dice.choice((None, usd_string(dice.randrange(10**14))))
        if model != "nobodys" and dice.random() < 0.2:
            told = usd_string(cost(model, units))
        events.append(
            usage(
                each,
                at,
                tenant=dice.choice(list(ZONES)),
                key=f"k_{dice.randrange(3)}",
                provider="acme",
                model_asked=model,
                model_priced=model if told and model != "nobodys" else "",
                units=units,
                cost=told if model != "nobodys" else None,
                charge=told if model != "nobodys" else None,
            )
        )
    return events


def cost(model: str, units: dict[str, int]) -> int:
    return units["input"] * PRICES[model][0] + units["output"] * PRICES[model][1]


def half_even(amount: Fraction) -> int:
    return round(amount)


def naive(event: UsageEvent) -> tuple[int | None, int | None]:
    """Cost and charge as anybody would work them out."""
    if event.model_asked == "nobodys":
        return None, None
    if event.tenant != "t_other0001":
        total = cost(event.model_asked, event.units)
        return total, total
    share = Fraction(10_000 - DISCOUNT, 10_000)
    lowered = [half_even(price * share) for price in PRICES[event.model_asked]]
    charge = event.units["input"] * lowered[0] + event.units["output"] * lowered[1]
    return cost(event.model_asked, event.units), charge


def expected_sums(events: Iterable[UsageEvent]) -> dict[str, Sums]:
    """By tenant, from raw events."""
    found: dict[str, list[int]] = {}
    for event in events:
        before = [None if each is None else pico_from_usd_string(each) for each in (event.cost, event.charge)]
        after = naive(event)
        priced_as = "" if event.model_asked == "nobodys" else event.model_asked
        sums = found.setdefault(event.tenant, [0] * 8)
        more = (1, (*before, event.model_priced) != (*after, priced_as), before[0] or 0, after[0] or 0)
        more += (before[1] or 0, after[1] or 0, before[1] is None, after[1] is None)
        sums[:] = [known + each for known, each in zip(sums, more, strict=True)]
    return {name: Sums(*sums) for name, sums in found.items()}


def check_everything(job: Rerating, events: list[UsageEvent]) -> None:
    """Sums, events, rollup and revs equal the naive computation."""
    expected = expected_sums(events)
    assert {row.tenant_id: Sums.of(row.sums) for row in ReratedTenant.objects.filter(rerating=job)} == expected
    assert (job.events, job.changed) == (len(events), sum(sums.changed for sums in expected.values()))
    found = standing()
    for event in events:
        before = tuple(None if each is None else pico_from_usd_string(each) for each in (event.cost, event.charge))
        after = naive(event)
        differs = before != after or event.model_priced != ("" if after[0] is None else event.model_asked)
        assert found[event.event_id][3:] == after
        assert found[event.event_id][0] == 1 + differs
    for name, zone in ZONES.items():
        days: dict[date, list[Decimal]] = {}
        for event in events:
            if event.tenant == name:
                sums = days.setdefault(Calendar(zone).day_of(event.ts), [Decimal(0)] * 3)
                amounts = (*(Decimal(each or 0).scaleb(-12) for each in naive(event)), naive(event)[1] is None)
                sums[:] = [known + each for known, each in zip(sums, amounts, strict=True)]
        rows: dict[date, list[Decimal]] = {}
        for row in daily_spend(name, DAY - timedelta(days=60), DAY + timedelta(days=1), group_by="model"):
            sums = rows.setdefault(row.day, [Decimal(0)] * 3)
            sums[:] = [known + each for known, each in zip(sums, (row.cost, row.charge, row.unpriced), strict=True)]
        assert rows == days


STEPS = ("count_events", "windows_from", "events_in", "insert_usage", "mark_moments", "record", "newest_version")
METHODS = ("_planned", "_count", "_finish", "_priced")


@contextmanager
def disturbed(monkeypatch: pytest.MonkeyPatch, disturb: Callable[[str], None]) -> Iterator[None]:
    """Let something happen before and after each step of the work."""

    def around(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*args: Any, **kwargs: Any) -> Any:
            disturb(f"before {name}")
            result = step(*args, **kwargs)
            disturb(f"after {name}")
            return result

        return stepping

    with monkeypatch.context() as patch:
        for name in STEPS:
            patch.setattr(run, name, around(name, getattr(run, name)))
        for name in METHODS:
            patch.setattr(run._Worker, name, around(name, getattr(run._Worker, name)))
        yield


def expire(job: Rerating) -> None:
    """The claim of whoever works on the job runs out."""
    Rerating.objects.filter(pk=job.pk).update(claimed_until=timezone.now() - timedelta(seconds=1))


@pytest.fixture
def company() -> None:
    for name, zone in ZONES.items():
        tenant(name, zone)
    sync_and_approve(acme())
    hand_price()
    override("t_other0001", basis_points=-DISCOUNT, starts_at=NOON - timedelta(days=300))


def applied(events: list[UsageEvent], monkeypatch: pytest.MonkeyPatch, **scope: Any) -> Rerating:
    monkeypatch.setattr(run, "BLOCK", 7)
    count(events)
    return apply_dry_run(dry_run=tried(**scope), by=BY)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("unpriced_only", [False, True])
def test_killed_anywhere_it_ends_with_the_same_sums(company, monkeypatch, seed, unpriced_only):
    dice = random.Random(f"kill {seed}")
    events = past(dice, 40)
    job = applied(events, monkeypatch, unpriced_only=unpriced_only)
    kills = []

    def perhaps(step: str) -> None:
        if dice.random() < 0.12:
            kills.append(step)
            raise Killed

    while job.status != Rerating.Status.DONE:
        expire(job)
        with suppress(Killed), disturbed(monkeypatch, perhaps):
            work_off(job.pk)
        job.refresh_from_db()
    while recount():
        pass
    assert len(kills) > 3
    if unpriced_only:
        whole = expected_sums(event for event in events if event.charge is None)
        assert {row.tenant_id: Sums.of(row.sums) for row in job.tenants.all()} == whole
    else:
        check_everything(job, events)


@pytest.mark.parametrize("seed", range(3))
def test_two_workers_at_once_end_with_the_same_sums(company, monkeypatch, seed):
    """The other one comes in at any step, works on some blocks or is killed, and the first goes on none the wiser."""
    dice = random.Random(f"two {seed}")
    events = past(dice, 40)
    job = applied(events, monkeypatch)
    inside, visits = [], []

    def perhaps(step: str) -> None:
        if connection.in_atomic_block and step.endswith(("record",)):
            return
        if inside:
            if dice.random() < 0.1:
                raise Killed
        elif dice.random() < 0.25:
            visits.append(step)
            inside.append(step)
            expire(job)
            with suppress(Killed):
                work_off(job.pk, seconds=dice.choice((0, 0, 0.05)))
            inside.clear()

    while job.status != Rerating.Status.DONE:
        expire(job)
        with suppress(Killed), disturbed(monkeypatch, perhaps):
            work_off(job.pk, seconds=0.2)
        job.refresh_from_db()
    while recount():
        pass
    assert visits
    check_everything(job, events)


def test_a_dry_run_says_of_each_tenant_what_applying_it_does(company, monkeypatch):
    monkeypatch.setattr(run, "BLOCK", 11)
    count(past(random.Random("dry"), 60))
    dry = tried()
    job = apply_dry_run(dry_run=dry, by=BY)
    work_off(job.pk)
    while recount():
        pass
    job.refresh_from_db()
    assert found_by(job) == found_by(dry)
    assert len(found_by(dry).tenants) == len(ZONES)
    assert (job.events, job.changed) == (dry.events, dry.changed)
    for name, _, sums in found_by(dry).tenants:
        after = totals(name, DAY - timedelta(days=60), DAY + timedelta(days=1))
        assert (after.charge * 10**12, after.unpriced_requests) == (sums.charge_after, sums.unpriced_after)
    again = tried()
    assert again.changed == 0, "what was priced anew stays as it is"
    assert found_by(again).whole.difference == 0


def test_what_is_applied_is_what_was_confirmed_whatever_changes_meanwhile(book):
    """Overrides and prices that change while a job waits its turn are for another re-rating."""
    override(basis_points=-1500)
    event = small(1)
    count([event])
    dry = tried()
    job = apply_dry_run(dry_run=dry, by=BY)
    override(basis_points=-9000, priority=5)
    sync_and_approve(acme(input=151_000))
    work_off(job.pk)
    assert found_by(job) == found_by(dry)
    assert standing()[event.event_id][2:] == (1, SMALL, SMALL * 85 // 100)
    assert request_by_id(TENANT, event.event_id).override_version == 1


def test_an_hour_with_more_events_than_a_block_is_read_in_order(company, monkeypatch):
    events = [small(number, NOON, key=f"k_{number % 3}", tenant=TENANT) for number in range(50)]
    job = applied(events, monkeypatch)
    work_off(job.pk)
    job.refresh_from_db()
    assert (job.events, job.changed) == (50, 50)
    assert job.turn >= 50 // 7


# -- jobs


def test_a_claim_keeps_others_away_until_it_runs_out(book):
    count([small(1)])
    job = start_dry_run(begin=MONTH_AGO, end=TOMORROW, by=BY)
    Rerating.objects.filter(pk=job.pk).update(claimed_until=timezone.now() + timedelta(minutes=1))
    assert not work_off(job.pk)
    expire(job)
    assert work_off(job.pk)
    assert not work_off(job.pk)


def test_a_sweep_goes_on_with_what_is_open(book):
    count([small(1)])
    jobs = [start_dry_run(begin=MONTH_AGO, end=TOMORROW, by=BY) for _ in range(2)]
    go_on_with_reratings()
    assert {Rerating.objects.get(pk=job.pk).status for job in jobs} == {Rerating.Status.DONE}


def test_a_job_waits_while_clickhouse_is_away(book, monkeypatch):
    count([small(1)])
    job = start_dry_run(begin=MONTH_AGO, end=TOMORROW, by=BY)
    with monkeypatch.context() as patch:
        patch.setattr(run, "events_in", raising(UnavailableError("ClickHouse does not answer (EOFError).")))
        work_off(job.pk)
    job.refresh_from_db()
    assert (job.status, job.claimed_until) == (Rerating.Status.RUNNING, None)
    assert job.error == "ClickHouse does not answer (EOFError). It goes on by itself."
    work_off(job.pk)
    job.refresh_from_db()
    assert (job.status, job.error) == (Rerating.Status.DONE, "")


def test_a_job_that_is_refused_fails_and_can_be_resumed(book, monkeypatch):
    count([small(1)])
    job = start_dry_run(begin=MONTH_AGO, end=TOMORROW, by=BY)
    with monkeypatch.context() as patch:
        patch.setattr(run, "events_in", raising(RefusedError(241, "ClickHouse refused a statement: memory")))
        work_off(job.pk)
    job.refresh_from_db()
    assert (job.status, job.error) == (Rerating.Status.FAILED, "ClickHouse refused a statement: memory")
    assert not work_off(job.pk)
    resume_rerating(job=job, by=BY)
    work_off(job.pk)
    job.refresh_from_db()
    assert (job.status, job.events) == (Rerating.Status.DONE, 1)


def test_stopped_between_writing_and_counting_it_is_resumed_with_the_same_sums(company, monkeypatch):
    events = past(random.Random("stop"), 40)
    job = applied(events, monkeypatch)

    def stop(step: str) -> None:
        if step == "after insert_usage" and Rerating.objects.get(pk=job.pk).turn == 2:
            stop_rerating(job=job, by=BY)

    with disturbed(monkeypatch, stop):
        work_off(job.pk)
    job.refresh_from_db()
    assert job.status == Rerating.Status.STOPPED
    with pytest.raises(StatusError, match="is stopped"):
        stop_rerating(job=job, by=BY)
    resume_rerating(job=job, by=BY)
    work_off(job.pk)
    job.refresh_from_db()
    while recount():
        pass
    check_everything(job, events)


def test_what_was_written_before_a_worker_died_is_counted_although_the_job_is_stopped(book, monkeypatch):
    """Killed before the days were marked, and stopped before anybody took the block up: nobody else will mark them."""
    hand_price()
    count([private(1)])
    job = apply_dry_run(dry_run=tried(), by=BY)

    def kill(step: str) -> None:
        if step == "after insert_usage":
            raise Killed

    with disturbed(monkeypatch, kill), pytest.raises(Killed):
        work_off(job.pk)
    stop_rerating(job=job, by=BY)
    while recount():
        pass
    assert [each.differences for each in verify(TENANT)] == [[]]


def test_only_a_finished_dry_run_that_still_holds_is_applied_and_once(book):
    count([small(1)])
    waiting = start_dry_run(begin=MONTH_AGO, end=TOMORROW, by=BY)
    with pytest.raises(StatusError, match="has not finished"):
        apply_dry_run(dry_run=waiting, by=BY)
    dry, later, latest = tried(), tried(), tried()
    job = apply_dry_run(dry_run=dry, by=BY)
    with pytest.raises(StatusError, match="applied already"):
        apply_dry_run(dry_run=dry, by=BY)
    with pytest.raises(StatusError, match=f"The re-rating {job.pk} is at work"):
        apply_dry_run(dry_run=later, by=BY)
    with pytest.raises(StatusError, match="no dry run"):
        apply_dry_run(dry_run=job, by=BY)
    work_off(job.pk)
    override(basis_points=-100)
    with pytest.raises(StatusError, match="Overrides have changed"):
        apply_dry_run(dry_run=later, by=BY)
    sync_and_approve(acme(input=151_000))
    with pytest.raises(StatusError, match="Prices have changed"):
        apply_dry_run(dry_run=latest, by=BY)
    assert Rerating.objects.filter(dry=False).count() == 1


def test_a_job_that_another_has_overtaken_is_not_resumed(book):
    """It holds on to older prices: it would take the newer ones back, and its sums would not be true."""
    price, other = hand_price(), tenant("t_other0001")
    event, elsewhere = private(1), private(2, tenant=other.id)
    count([event, elsewhere])
    jobs = {}
    for of in (TENANT, other.id):
        jobs[of] = apply_dry_run(dry_run=tried(tenant_id=of), by=BY)
        stop_rerating(job=jobs[of], by=BY)
    change_hand_price(price=price, prices={"input": 5, "output": 7}, starts=price.starts, by=BY)
    newer = rerated(tenant_id=TENANT)
    before = standing()
    assert before[event.event_id][3] == 1000 * 5 + 200 * 7
    with pytest.raises(StatusError, match=f"The re-rating {newer.pk} was begun after this one"):
        resume_rerating(job=jobs[TENANT], by=BY)
    assert Rerating.objects.get(pk=jobs[TENANT].pk).status == Rerating.Status.STOPPED
    assert standing() == before
    resume_rerating(job=jobs[other.id], by=BY)  # of other calls
    work_off(jobs[other.id].pk)
    assert standing()[elsewhere.event_id][3] == 1000 * 11_111 + 200 * 22_223


def test_a_job_that_was_stopped_ends_its_block_before_another_begins(book, monkeypatch):
    """Whoever works on it may be about to write: the same calls by two price books would have the same rev."""
    price = hand_price()
    event = private(1)
    count([event])
    job = apply_dry_run(dry_run=tried(), by=BY)
    refused = []

    def overtake(step: str) -> None:
        if step != "before insert_usage" or refused:
            return
        stop_rerating(job=job, by=BY)
        change_hand_price(price=price, prices={"input": 5, "output": 7}, starts=price.starts, by=BY)
        with pytest.raises(StatusError, match=f"The re-rating {job.pk} was stopped and is still at its last") as error:
            apply_dry_run(dry_run=tried(), by=BY)
        refused.append(error)

    with disturbed(monkeypatch, overtake):
        work_off(job.pk)
    assert refused
    rerated()
    assert standing()[event.event_id][2:4] == (3, 1000 * 5 + 200 * 7)


@pytest.mark.parametrize(
    ("scope", "field", "message"),
    [
        ({"end": MONTH_AGO}, "end", "The end must be after the beginning."),
        ({"begin": datetime(1999, 1, 1, tzinfo=UTC)}, "begin", "before the year 2000"),
        ({"begin": NOON + timedelta(days=3650), "end": NOON + timedelta(days=3651)}, "begin", "still to come"),
        ({"tenant_id": "t_nobody"}, "tenant", "There is no such tenant."),
        ({"model": "m" * 401}, "model", "400 characters at most"),
    ],
)
def test_a_scope_that_makes_no_sense_is_refused(book, scope, field, message):
    with pytest.raises(InvalidSettingError, match=message) as refused:
        start_dry_run(**({"begin": MONTH_AGO, "end": TOMORROW} | scope), by=BY)
    assert refused.value.field == field
    assert not Rerating.objects.exists()


def test_without_prices_nothing_begins():
    with pytest.raises(TenantsRefusedError, match="There are no prices yet"):
        start_dry_run(begin=MONTH_AGO, end=TOMORROW, by=BY)


def test_the_trail_tells_what_was_done(book):
    count([small(1)])
    job = rerated(tenant_id=TENANT)
    told = AuditEvent.objects.filter(target_kind="rerating").order_by("id")
    assert [event.kind for event in told] == [
        "rerating.dry_run_begun",
        "rerating.dry_run_finished",
        "rerating.begun",
        "rerating.finished",
    ]
    last = told.last()
    assert (last.tenant_id, last.target_id) == (TENANT, job.pk)
    assert (last.after["changed"], last.after["charge_before"], last.after["charge_after"]) == (
        1,
        usd_string(2 * SMALL),
        usd_string(SMALL),
    )


# -- what the tests set up


def hand_price() -> HandPrice:
    return add_hand_price(
        provider="acme",
        model="private-7b",
        prices={"input": 11_111, "output": 22_223},
        starts=date(2026, 1, 1),
        by=BY,
    )


def override(tenant_id: str = TENANT, kind: str = "percent", **settings: Any) -> None:
    known = {"name": f"Override {random.random()}", "starts_at": NOON - timedelta(days=200)}
    create_override(
        tenant=Tenant.objects.get(pk=tenant_id), wanted=OverrideSettings(kind=kind, **(known | settings)), by=BY
    )


def raising(error: Exception) -> Callable[..., Any]:
    def step(*args: Any, **kwargs: Any) -> Any:
        raise error

    return step
