from __future__ import annotations

from datetime import timedelta

import pytest

from budgets.actions import Settings, archive_budget, change_budget, create_budget, set_budget
from budgets.errors import InvalidBudgetError, NoSuchBudgetError, StaleBudgetError
from budgets.evaluator import evaluate
from budgets.models import Budget
from budgets.queries import archived_budgets, budgets_by_risk, tenant_block
from changes.models import AuditEvent
from tenants.errors import RefusedError
from tenants.scope import across_tenants, tenant_scope
from tests.budgets.making import NOON, SOMEBODY, crossings, decisions, make_budget, period_of, published

LATER = NOON + timedelta(seconds=5)


def change(budget, amount="0.0001", **settings):
    wanted = Settings(name=settings.pop("name", "First"), amount=amount, **settings.pop("wanted", {}))
    return change_budget(
        budget_id=budget.id, tenant_id=budget.tenant_id, wanted=wanted, by=SOMEBODY, now=LATER, **settings
    )


@pytest.fixture
def used_up(tenant, ledger):
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 124_650_000
    evaluate(LATER, read=ledger)
    published()
    return budget


def test_a_new_budget_is_recorded_with_what_was_asked_for(tenant):
    made = set_budget(tenant=tenant, wanted=Settings(name="First", amount="0.0001"), by=SOMEBODY, now=NOON)
    assert made.created
    assert made.budget.id.startswith("b_")
    event = AuditEvent.objects.get(kind="budget.created")
    assert (event.actor_id, event.tenant_id, event.target_id) == (SOMEBODY.id, tenant.id, made.budget.id)
    assert event.after["amount_micro"] == 100
    assert made.budget.thresholds == [50, 80, 100]
    assert period_of(made.budget).first_day.isoformat() == "2026-11-01"


def test_a_raise_lifts_the_block_in_its_own_transaction(tenant, used_up, django_assert_max_num_queries):
    assert tenant_block(tenant.id, "dev", now=LATER) is not None
    done = change(used_up, "100")
    assert (done.raised, done.lifted) == (True, True)
    assert tenant_block(tenant.id, "dev", now=LATER) is None
    assert published().count(f"tenant:{tenant.id}") >= 1
    assert crossings(used_up) == [("recovered", 100, "waiting")]
    assert decisions(used_up)[-2:] == ["changed", "recovered"]
    event = AuditEvent.objects.get(kind="budget.raised")
    assert (event.before["amount_micro"], event.after["amount_micro"]) == (100, 100_000_000)


def test_a_raise_that_is_too_small_lifts_nothing(tenant, used_up):
    done = change(used_up, "0.00011")
    assert (done.raised, done.lifted) == (True, False)
    assert "of $0.00011." in tenant_block(tenant.id, "dev", now=LATER).message
    assert published() == [f"tenant:{tenant.id}"]


def test_after_a_raise_its_thresholds_are_told_again(tenant, used_up, ledger):
    change(used_up, "0.0002")
    assert ("threshold", 50, "silent") in crossings(used_up)  # 62 %: still reached, and known already
    ledger.pico[used_up.id] = 160_000_000
    evaluate(LATER + timedelta(seconds=5), read=ledger)
    assert crossings(used_up)[-1] == ("threshold", 80, "waiting")


def test_a_hard_budget_made_soft_lifts_its_block(tenant, used_up):
    done = change(used_up, wanted={"enforcement": "soft"})
    assert (done.raised, done.lifted) == (False, True)
    assert tenant_block(tenant.id, "dev", now=LATER) is None
    assert published() == [f"tenant:{tenant.id}"]


def test_a_cut_below_what_is_spent_blocks_at_once(tenant, ledger):
    budget = make_budget(tenant, "1")
    ledger.pico[budget.id] = 200_000_000
    evaluate(LATER, read=ledger)
    published()
    change(budget, "0.0001")
    assert tenant_block(tenant.id, "dev", now=LATER) is not None
    assert f"tenant:{tenant.id}" in published()
    assert crossings(budget)[-1] == ("threshold", 100, "waiting")


def test_archiving_lifts_the_block_and_keeps_the_history(tenant, used_up):
    archive_budget(budget_id=used_up.id, tenant_id=tenant.id, by=SOMEBODY, now=LATER)
    assert tenant_block(tenant.id, "dev", now=LATER) is None
    assert published() == [f"tenant:{tenant.id}"]
    assert [each.id for each in archived_budgets(tenant)] == [used_up.id]
    assert len(crossings(used_up)) == 3
    with pytest.raises(NoSuchBudgetError):
        archive_budget(budget_id=used_up.id, tenant_id=tenant.id, by=SOMEBODY)
    # its name is free again
    assert make_budget(tenant).id != used_up.id


def test_setting_by_name_changes_the_budget_that_is_there(tenant):
    first = make_budget(tenant)
    done = set_budget(tenant=tenant, wanted=Settings(name="First", amount="5"), by=SOMEBODY, now=NOON)
    assert (done.created, done.raised, done.budget.id) == (False, True, first.id)
    assert done.budget.enforcement == "hard"  # what was not named stays
    assert done.budget.version == 2


def test_saying_the_same_again_records_nothing(tenant):
    budget = make_budget(tenant)
    events = AuditEvent.objects.count()
    done = change(budget)
    assert (done.raised, done.lifted, done.budget.version) == (False, False, 1)
    assert AuditEvent.objects.count() == events


def test_whoever_saves_what_they_saw_before_somebody_else_changed_it_is_told(tenant):
    budget = make_budget(tenant)
    change(budget, "5", version=1)
    with pytest.raises(StaleBudgetError, match="changed after you opened it"):
        change(budget, "1", version=1)
    with pytest.raises(StaleBudgetError):
        archive_budget(budget_id=budget.id, tenant_id=tenant.id, by=SOMEBODY, version=1)
    with across_tenants("a test looks"):
        assert Budget.objects.get(pk=budget.pk).amount_micro == 5_000_000


def test_two_active_budgets_of_a_name_are_refused(tenant, stranger):
    make_budget(tenant)
    with pytest.raises(InvalidBudgetError, match="already"):
        make_budget(tenant)
    make_budget(stranger)
    other = make_budget(tenant, name="Second")
    with pytest.raises(InvalidBudgetError, match="already") as refused:
        change(other, name="First")
    assert refused.value.field == "name"


@pytest.mark.parametrize(
    "wanted",
    [
        Settings(name="", amount="1"),
        Settings(name="A", amount="0"),
        Settings(name="A", amount="1", currency="EUR"),
        Settings(name="A", amount="1", enforcement="firm"),
        Settings(name="A", amount="1", thresholds=["none"]),
        Settings(name="A", amount="1", envs=["stage"]),
    ],
)
def test_what_cannot_be_a_budget_leaves_nothing_behind(tenant, wanted):
    events = AuditEvent.objects.count()
    with pytest.raises(RefusedError):
        create_budget(tenant=tenant, wanted=wanted, by=SOMEBODY, now=NOON)
    with across_tenants("a test counts"):
        assert Budget.objects.count() == 0
    assert AuditEvent.objects.count() == events


def test_another_tenants_budget_is_not_there(tenant, stranger):
    budget = make_budget(tenant)
    wanted = Settings(name="First", amount="1000")
    with pytest.raises(NoSuchBudgetError):
        change_budget(budget_id=budget.id, tenant_id=stranger.id, wanted=wanted, by=SOMEBODY)
    with pytest.raises(NoSuchBudgetError):
        archive_budget(budget_id=budget.id, tenant_id=stranger.id, by=SOMEBODY)
    with tenant_scope(stranger.id):
        assert not Budget.objects.exists()
    assert budgets_by_risk(stranger) == []


def test_budgets_are_listed_by_risk(tenant, ledger):
    names = {"Used up": 100, "Nearly": 90, "Quiet": 1, "Overrun": 300}
    for name, percent in names.items():
        budget = make_budget(tenant, "1", name=name)
        ledger.pico[budget.id] = percent * 10**10
    evaluate(LATER, read=ledger)
    found = budgets_by_risk(tenant, now=LATER)
    assert [each.budget.name for each in found] == ["Overrun", "Used up", "Nearly", "Quiet"]
    assert [each.word for each in found] == ["Refusing calls", "Refusing calls", "At risk", "On track"]
    assert found[2].percent == 90
    assert found[2].over_pace
    assert found[0].says == "Overrun: $3.00 of $1.00 used, 300%; 68% of the period is gone."
