"""Several evaluators, and people who change a limit meanwhile: what must be told once is told once.

Parallel connections on the embedded default (a SQLite file) and, where the mark says so, on a real PostgreSQL.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from budgets.actions import Settings, change_budget
from budgets.evaluator import evaluate
from budgets.models import BudgetPeriod, Crossing, Decision
from budgets.queries import tenant_block
from tenants.models import Tenant
from tenants.scope import across_tenants
from tests.budgets.making import NOON, SOMEBODY, Ledger, make_budget, period_of

EVALUATORS = 8
LATER = NOON + timedelta(seconds=5)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run each in a thread of its own, all released at the same moment. An exception is a result too."""
    gate = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        gate.wait(timeout=30)
        try:
            results[place] = calls[place]()
        except Exception as error:
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=100)
    return results


def crossed_once(tenant: Tenant, budgets: int) -> None:
    ledger = Ledger()
    for number in range(budgets):
        ledger.pico[make_budget(tenant, name=f"Budget {number}").id] = 10**12
    ticks = at_once(*[lambda: evaluate(LATER, read=ledger)] * EVALUATORS)
    assert [tick for tick in ticks if isinstance(tick, Exception)] == []
    assert sum(tick.failed for tick in ticks) == 0
    assert sum(tick.exhausted for tick in ticks) == budgets
    evaluate(LATER, read=ledger)
    with across_tenants("a test counts"):
        rows = Counter(Crossing.objects.values_list("budget", "first_day", "threshold", "kind"))
        assert set(rows.values()) == {1}
        assert len(rows) == 3 * budgets
        assert Crossing.objects.filter(announcement="waiting").count() == budgets
        assert Decision.objects.filter(what="exhausted").count() == budgets
        assert BudgetPeriod.objects.count() == budgets


def new_period_once(tenant: Tenant) -> None:
    ledger = Ledger()
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 10**12
    evaluate(LATER, read=ledger)
    ledger.pico[budget.id] = 0
    ticks = at_once(*[lambda: evaluate(NOON + timedelta(days=12), read=ledger)] * EVALUATORS)
    assert [tick for tick in ticks if isinstance(tick, Exception) or tick.failed] == []
    with across_tenants("a test counts"):
        assert BudgetPeriod.objects.count() == 2
        assert Crossing.objects.filter(kind="recovered").count() == 1
        assert Decision.objects.filter(what="recovered").count() == 1


def raise_wins(tenant: Tenant) -> None:
    """However a raise falls between readings, the tenant is not left blocked."""
    ledger = Ledger()
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 10**9
    evaluate(LATER, read=ledger)
    wanted = Settings(name="First", amount="5")
    raised = lambda: change_budget(budget_id=budget.id, tenant_id=tenant.id, wanted=wanted, by=SOMEBODY, now=LATER)  # noqa: E731
    results = at_once(raised, *[lambda: evaluate(LATER, read=ledger)] * (EVALUATORS - 1))
    assert [each for each in results if isinstance(each, Exception)] == []
    assert tenant_block(tenant.id, "dev", now=LATER) is None
    assert period_of(budget).exhausted_at is None


@pytest.mark.django_db(transaction=True)
def test_eight_evaluators_tell_a_crossing_once(tenant):
    crossed_once(tenant, budgets=10)


@pytest.mark.django_db(transaction=True)
def test_eight_evaluators_begin_a_period_once(tenant):
    new_period_once(tenant)


@pytest.mark.django_db(transaction=True)
def test_a_raise_among_evaluators_lifts_the_block(tenant):
    raise_wins(tenant)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
class TestOnPostgres:
    def test_the_engine_is_postgresql(self):
        assert connection.vendor == "postgresql"

    def test_eight_evaluators_tell_a_crossing_once(self, tenant):
        crossed_once(tenant, budgets=150)

    def test_eight_evaluators_begin_a_period_once(self, tenant):
        new_period_once(tenant)

    def test_a_raise_among_evaluators_lifts_the_block(self, tenant):
        raise_wins(tenant)


@pytest.mark.django_db
def test_the_database_itself_refuses_a_second_crossing(tenant):
    ledger = Ledger()
    budget = make_budget(tenant)
    ledger.pico[budget.id] = 50_000_000
    evaluate(LATER, read=ledger)
    with across_tenants("a test copies a row"):
        row = Crossing.objects.get(threshold=50)
        row.pk = None
        with pytest.raises(IntegrityError), transaction.atomic():
            row.save(force_insert=True)
