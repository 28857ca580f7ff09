from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from budgets.actions import Settings, archive_budget, change_budget
from budgets.deciding import Reading, apply_reading
from budgets.evaluator import EVALUATOR, evaluate
from budgets.models import BudgetPeriod
from budgets.queries import reading_fails_since, tenant_block
from changes.models import AuditEvent
from spend.clickhouse.errors import UnavailableError
from tenants.actions.tenants import change_tenant
from tenants.scope import across_tenants
from tests.budgets.making import NOON, SOMEBODY, crossings, decisions, make_budget, period_of, published

LATER = NOON + timedelta(seconds=5)


def test_a_hard_budget_that_is_used_up_blocks_and_says_why(tenant, ledger):
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 124_650_000
    tick = evaluate(LATER, read=ledger)
    assert (tick.evaluated, tick.crossed, tick.exhausted) == (1, 1, 1)
    block = tenant_block(tenant.id, "dev", now=LATER)
    assert block.message == 'Budget "First" used: $0.00012465 of $0.0001. Resets 1 Dec 00:00 Asia/Kolkata.'
    assert block.reason == "budget_exhausted"
    assert block.budget == budget.id
    assert block.until == 1_796_063_400_000  # 30 Nov 18:30 UTC
    assert published() == [f"tenant:{tenant.id}"]
    assert crossings(budget) == [
        ("threshold", 50, "silent"),
        ("threshold", 80, "silent"),
        ("threshold", 100, "waiting"),
    ]
    assert decisions(budget) == ["created", "crossed", "exhausted"]
    assert AuditEvent.objects.get(kind="budget.exhausted").after["spent"] == "$0.00012465"


def test_the_query_names_the_period_in_the_tenants_days(tenant, ledger):
    budget = make_budget(tenant, envs=["prod"])
    evaluate(LATER, read=ledger)
    ((window,),) = ledger.asked
    assert (window.id, window.tenant_id, tuple(window.envs)) == (budget.id, tenant.id, ("prod",))
    assert (window.first.isoformat(), window.last.isoformat()) == ("2026-11-01", "2026-11-30")


def test_a_second_tick_changes_nothing(tenant, ledger):
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 124_650_000
    evaluate(LATER, read=ledger)
    before = (crossings(budget), decisions(budget), period_of(budget).exhausted_at, period_of(budget).revision)
    published()
    for seconds in range(5):
        tick = evaluate(LATER + timedelta(seconds=seconds), read=ledger)
        assert (tick.crossed, tick.exhausted, tick.recovered) == (0, 0, 0)
    period = period_of(budget)
    assert (crossings(budget), decisions(budget), period.exhausted_at, period.revision) == before
    assert period.evaluated_at == LATER + timedelta(seconds=4)
    assert published() == []


def test_thresholds_are_told_one_after_another(tenant, ledger):
    budget = make_budget(tenant)
    for number, (pico, standing) in enumerate([(49_999_999, 0), (50_000_000, 1), (80_000_000, 2), (99_999_999, 2)]):
        ledger.pico[budget.id] = pico
        evaluate(LATER + timedelta(seconds=number), read=ledger)
        assert len(crossings(budget)) == standing
    assert [each[2] for each in crossings(budget)] == ["waiting", "waiting"]
    assert tenant_block(tenant.id, "dev", now=LATER) is None


def test_a_soft_budget_tells_and_blocks_nothing(tenant, ledger):
    budget = make_budget(tenant, enforcement="soft")
    ledger.pico[budget.id] = 10**12
    assert evaluate(LATER, read=ledger).exhausted == 1
    assert tenant_block(tenant.id, "dev", now=LATER) is None
    assert crossings(budget)[-1] == ("threshold", 100, "waiting")
    assert published() == []


def test_a_block_holds_in_the_budgets_environments_and_for_its_tenant_only(tenant, stranger, ledger):
    budget = make_budget(tenant, envs=["prod"])
    make_budget(stranger)
    ledger.pico[budget.id] = 10**12
    evaluate(LATER, read=ledger)
    assert tenant_block(tenant.id, "prod", now=LATER) is not None
    assert tenant_block(tenant.id, "dev", now=LATER) is None
    assert tenant_block(stranger.id, "prod", now=LATER) is None


def test_of_two_blocks_the_one_that_ends_last_is_told(tenant, ledger):
    budgets = [make_budget(tenant, name=name) for name in ("One", "Two")]
    ledger.pico |= {budget.id: 10**12 for budget in budgets}
    evaluate(LATER, read=ledger)
    with across_tenants("a test moves an end"):
        BudgetPeriod.objects.filter(budget=budgets[0]).update(ends_at=NOON + timedelta(days=1))
    assert 'Budget "Two"' in tenant_block(tenant.id, "dev", now=LATER).message


def test_a_correction_recovers_and_is_told(tenant, ledger):
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 100_000_000
    evaluate(LATER, read=ledger)
    published()
    ledger.pico[budget.id] = 99_999_999
    assert evaluate(LATER + timedelta(seconds=5), read=ledger).recovered == 1
    assert tenant_block(tenant.id, "dev", now=LATER) is None
    assert crossings(budget)[-1] == ("recovered", 100, "waiting")
    assert published() == [f"tenant:{tenant.id}"]
    # used up again: told again, and the recovery no longer stands
    ledger.pico[budget.id] = 100_000_000
    assert evaluate(LATER + timedelta(seconds=10), read=ledger).exhausted == 1
    assert crossings(budget) == [
        ("threshold", 50, "silent"),
        ("threshold", 80, "silent"),
        ("threshold", 100, "waiting"),
    ]
    assert decisions(budget)[-4:] == ["exhausted", "recovered", "crossed", "exhausted"]


def test_late_spend_on_a_used_up_budget_publishes_the_new_amount(tenant, ledger):
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 100_000_000
    evaluate(LATER, read=ledger)
    published()
    ledger.pico[budget.id] = 124_650_000
    evaluate(LATER + timedelta(seconds=5), read=ledger)
    assert "$0.00012465 of" in tenant_block(tenant.id, "dev", now=LATER).message
    assert published() == [f"tenant:{tenant.id}"]
    assert decisions(budget).count("exhausted") == 1


def test_a_new_period_recovers(tenant, ledger):
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 10**12
    evaluate(LATER, read=ledger)
    published()
    new_month = period_of(budget).ends_at
    # the block ends with its period by itself, even when the evaluator is late
    assert tenant_block(tenant.id, "dev", now=new_month - timedelta(seconds=1)) is not None
    assert tenant_block(tenant.id, "dev", now=new_month) is None
    ledger.pico[budget.id] = 0
    late = new_month + timedelta(hours=5)
    for _ in range(2):
        evaluate(late, read=ledger)
    assert period_of(budget).first_day.isoformat() == "2026-12-01"
    assert crossings(budget)[-1] == ("recovered", 100, "waiting")
    assert decisions(budget)[-2:] == ["period_started", "recovered"]
    assert published() == [f"tenant:{tenant.id}"]
    # in the new period every threshold counts anew
    ledger.pico[budget.id] = 50_000_000
    evaluate(late + timedelta(seconds=5), read=ledger)
    assert crossings(budget)[-1] == ("threshold", 50, "waiting")


def test_a_period_that_was_never_used_up_ends_quietly(tenant, ledger):
    budget = make_budget(tenant)
    evaluate(LATER, read=ledger)
    evaluate(NOON + timedelta(days=40), read=ledger)
    assert crossings(budget) == []
    assert decisions(budget)[-1] == "period_started"
    assert published() == []


@pytest.mark.parametrize("december_first", [True, False])
def test_what_was_spent_at_the_very_end_of_a_period_is_told_and_blocks_nothing(tenant, ledger, december_first):
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 49_000_000
    evaluate(LATER, read=ledger)
    november = period_of(budget)
    over = november.ends_at + timedelta(seconds=5)
    old = f"{budget.id} 2026-11-01"
    ledger.pico |= {budget.id: 0, old: 49_000_000}
    if december_first:
        evaluate(over, read=ledger)  # the last events wait in a queue: nothing is known yet
        assert crossings(budget) == []
    published()
    ledger.pico[old], ledger.data_to = 124_650_000, november.ends_at
    for seconds in range(2):
        evaluate(over + timedelta(minutes=1, seconds=seconds), read=ledger)
    november.refresh_from_db()
    assert (november.spent, november.data_to, november.exhausted_at) == (124_650_000, november.ends_at, None)
    assert [row[1:] for row in crossings(budget)] == [(50, "silent"), (80, "silent"), (100, "waiting")]
    assert decisions(budget)[-1] == "crossed"
    assert published() == []
    assert tenant_block(tenant.id, "dev", now=over) is None
    # it was read with all its usage, and is final
    assert [window.first.isoformat() for window in ledger.asked[-1]] == ["2026-12-01"]


def test_a_tick_reads_only_so_many_periods_that_are_over_and_the_next_tick_others(tenant, ledger, monkeypatch):
    monkeypatch.setattr("budgets.evaluator.ENDED_AT_ONCE", 2)
    names = [make_budget(tenant, name=f"Budget {number}").id for number in range(3)]
    over = period_of(make_budget(tenant, name="Last")).ends_at
    old: set[str] = set()
    for seconds in range(2):  # their usage is not complete yet
        evaluate(over + timedelta(seconds=seconds), read=ledger)
        asked = [window.id for window in ledger.asked[-1] if " " in window.id]
        assert len(asked) == 2
        old |= set(asked)
    assert len(old) == len(names) + 1


def test_a_tenant_that_moves_to_another_zone_keeps_one_period(tenant, ledger):
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 10**12
    evaluate(LATER, read=ledger)
    change_tenant(tenant=tenant, name=tenant.name, time_zone="America/New_York", currency="USD", by=SOMEBODY)
    published()
    evaluate(LATER + timedelta(seconds=5), read=ledger)
    assert tenant_block(tenant.id, "dev", now=LATER).message.endswith("Resets 1 Dec 00:00 America/New_York.")
    assert published() == [f"tenant:{tenant.id}"]
    with across_tenants("a test counts"):
        assert BudgetPeriod.objects.filter(budget=budget).count() == 1


def test_a_tenant_that_moves_back_into_last_month_has_last_months_budget(tenant, ledger):
    edge = datetime(2026, 11, 30, 19, tzinfo=UTC)  # December in India, November in New York
    budget = make_budget(tenant, now=edge)
    ledger.pico[budget.id] = 10**12
    evaluate(edge, read=ledger)
    assert period_of(budget).first_day.isoformat() == "2026-12-01"
    change_tenant(tenant=tenant, name=tenant.name, time_zone="America/New_York", currency="USD", by=SOMEBODY)
    published()
    ledger.pico[budget.id] = 0
    later = edge + timedelta(seconds=5)
    evaluate(later, read=ledger)
    assert [window.first.isoformat() for window in ledger.asked[-1]] == ["2026-11-01"]
    assert tenant_block(tenant.id, "dev", now=later) is None
    assert published() == [f"tenant:{tenant.id}"]
    # December comes again, with the bounds that it has there
    evaluate(datetime(2026, 12, 1, 5, tzinfo=UTC), read=ledger)
    december = period_of(budget)
    assert (december.first_day.isoformat(), december.time_zone) == ("2026-12-01", "America/New_York")
    assert december.starts_at == datetime(2026, 12, 1, 5, tzinfo=UTC)


def test_while_clickhouse_is_away_nothing_changes_and_the_outage_is_written_once(tenant, ledger):
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 10**12
    evaluate(LATER, read=ledger)
    before = (crossings(budget), decisions(budget), period_of(budget).evaluated_at)
    published()

    def away(windows):
        raise UnavailableError("connection refused")

    for seconds in range(5, 20, 5):
        tick = evaluate(NOON + timedelta(seconds=seconds), read=away)
        assert "connection refused" in tick.error
        assert tick.evaluated == 0
    assert (crossings(budget), decisions(budget), period_of(budget).evaluated_at) == before
    assert tenant_block(tenant.id, "dev", now=LATER) is not None
    assert reading_fails_since() == NOON + timedelta(seconds=5)
    assert decisions(None) == ["not_evaluated"]
    assert published() == []
    evaluate(NOON + timedelta(seconds=30), read=ledger)
    assert decisions(None) == ["not_evaluated", "resumed"]
    assert reading_fails_since() is None


def test_a_budget_that_was_not_answered_keeps_its_block(tenant, ledger):
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 10**12
    evaluate(LATER, read=ledger)
    assert evaluate(LATER + timedelta(seconds=5), read=lambda windows: {}).failed == 1
    assert tenant_block(tenant.id, "dev", now=LATER) is not None


def test_an_older_reading_never_undoes_a_newer_one(tenant, ledger):
    budget = make_budget(tenant)
    stale_period = period_of(budget)
    ledger.pico[budget.id] = 10**12
    evaluate(LATER, read=ledger)
    with across_tenants("an evaluator that was slow writes"):
        verdict = apply_reading(
            stale_period.budget,
            stale_period,
            Reading(0, 0, None, LATER),
            standing=(),
            at=LATER + timedelta(hours=1),
            by=EVALUATOR,
            cause="late",
        )
    assert verdict is None
    assert period_of(budget).spent == 10**12
    assert tenant_block(tenant.id, "dev", now=LATER) is not None


def test_a_limit_that_changes_while_the_evaluator_reads_wins(tenant, ledger):
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 500_000_000

    def slow(windows):
        change_budget(
            budget_id=budget.id, tenant_id=tenant.id, wanted=Settings(name="First", amount="1"), by=SOMEBODY, now=NOON
        )
        return ledger(windows)

    tick = evaluate(LATER, read=slow)
    assert (tick.overtaken, tick.exhausted) == (1, 0)
    assert tenant_block(tenant.id, "dev", now=LATER) is None
    assert evaluate(LATER + timedelta(seconds=5), read=ledger).evaluated == 1
    assert period_of(budget).spent == 500_000_000


def test_an_archived_budget_is_not_evaluated(tenant, ledger):
    budget = make_budget(tenant)
    archive_budget(budget_id=budget.id, tenant_id=tenant.id, by=SOMEBODY, now=NOON)
    assert evaluate(LATER, read=ledger).evaluated == 0
    assert ledger.asked == []


def test_one_budget_that_fails_holds_up_no_other(tenant, ledger, monkeypatch):
    good, bad = make_budget(tenant, name="Good"), make_budget(tenant, name="Bad")
    ledger.pico |= {good.id: 10**12, bad.id: 10**12}
    real = apply_reading

    def broken(budget, *args, **kwargs):
        if budget.id == bad.id:
            raise RuntimeError("a fault")
        return real(budget, *args, **kwargs)

    monkeypatch.setattr("budgets.evaluator.apply_reading", broken)
    tick = evaluate(LATER, read=ledger)
    assert (tick.evaluated, tick.failed) == (1, 1)
    assert len(crossings(good)) == 3
    assert crossings(bad) == []


@pytest.mark.parametrize("number", [1, 40])
def test_a_quiet_tick_asks_the_same_few_questions_however_many_budgets(tenant, ledger, number):
    for each in range(number):
        ledger.pico[make_budget(tenant, name=f"Budget {each}").id] = 1000
    evaluate(LATER, read=ledger)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        tick = evaluate(LATER + timedelta(seconds=5), read=ledger)
    assert tick.evaluated == number
    statements = [each["sql"] for each in queries if not each["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(statements) <= 6
    assert len(ledger.asked) == 2
