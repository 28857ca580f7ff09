from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core.exceptions import FieldError
from hypothesis import given
from hypothesis import strategies as st

from budgets.errors import InvalidBudgetError
from budgets.fields import PicoField
from budgets.models import BudgetPeriod
from budgets.rules import (
    block_message,
    checked_amount,
    checked_envs,
    checked_name,
    checked_thresholds,
    effect_at_limit,
    judge,
    percent_used,
    projected,
    reached,
)
from tenants.scope import across_tenants

LIMIT = 100_000_000  # $0.0001


def test_the_refusal_that_callers_read():
    said = block_message(
        name="First",
        spent=124_650_000,
        limit=LIMIT,
        ends_at=datetime(2026, 11, 30, 18, 30, tzinfo=UTC),
        time_zone="Asia/Kolkata",
    )
    assert said == 'Budget "First" used: $0.00012465 of $0.0001. Resets 1 Dec 00:00 Asia/Kolkata.'


@pytest.mark.parametrize(
    ("spent", "limit", "words"),
    [
        (1, 1_000_000, "$0.000000000001 of $0.000001"),
        (10**12, 10**12, "$1.00 of $1.00"),
        (1_234_567_890_123 * 10**6 + 1, 10**18, "$1,234,567.890123000001 of $1,000,000.00"),
    ],
)
def test_amounts_in_the_refusal_are_exact(spent, limit, words):
    said = block_message(name="B", spent=spent, limit=limit, ends_at=datetime(2026, 12, 1, tzinfo=UTC), time_zone="UTC")
    assert said == f'Budget "B" used: {words}. Resets 1 Dec 00:00 UTC.'


def test_thresholds_are_compared_exactly_where_floats_would_not():
    limit = 3 * 10**30 + 1
    at_80 = -(-limit * 80 // 100)
    assert reached([50, 80, 100], at_80, limit) == [50, 80]
    assert reached([50, 80, 100], at_80 - 1, limit) == [50]
    assert percent_used(limit - 1, limit) == 99
    assert percent_used(limit, limit) == 100


def test_of_several_thresholds_crossed_at_once_the_highest_is_told():
    verdict = judge(spent=LIMIT, limit=LIMIT, thresholds=[50, 80, 100], standing=(), exhausted=False)
    assert verdict.crossed == (50, 80, 100)
    assert verdict.told == 100
    assert (verdict.exhausted, verdict.turned) == (True, True)


def test_what_stands_is_not_crossed_again():
    verdict = judge(spent=LIMIT - 1, limit=LIMIT, thresholds=[50, 80, 100], standing={50, 80}, exhausted=False)
    assert (verdict.crossed, verdict.undone, verdict.told) == ((), (), None)
    assert not verdict.turned


def test_a_raise_undoes_what_is_no_longer_reached():
    verdict = judge(spent=LIMIT, limit=LIMIT * 3 // 2, thresholds=[50, 80, 100], standing={50, 80, 100}, exhausted=True)
    assert verdict.undone == (80, 100)
    assert (verdict.exhausted, verdict.turned) == (False, True)


@given(
    spent=st.integers(0, 10**24),
    limit=st.integers(1, 10**24),
    thresholds=st.lists(st.integers(1, 1000), min_size=1, max_size=10),
    standing=st.frozensets(st.integers(1, 1000), max_size=10),
    exhausted=st.booleans(),
)
def test_a_second_verdict_on_the_same_reading_changes_nothing(spent, limit, thresholds, standing, exhausted):
    first = judge(spent=spent, limit=limit, thresholds=thresholds, standing=standing, exhausted=exhausted)
    after = (set(standing) | set(first.crossed)) - set(first.undone)
    second = judge(spent=spent, limit=limit, thresholds=thresholds, standing=after, exhausted=first.exhausted)
    assert (second.crossed, second.undone, second.turned) == ((), (), False)


def test_the_pace():
    month = {"starts_at": datetime(2026, 11, 1, tzinfo=UTC), "ends_at": datetime(2026, 12, 1, tzinfo=UTC)}
    assert projected(10, **month, at=datetime(2026, 11, 16, tzinfo=UTC)) == 20
    assert projected(10, **month, at=datetime(2026, 12, 1, tzinfo=UTC)) == 10
    assert projected(10, **month, at=datetime(2026, 11, 1, tzinfo=UTC)) == 200  # too early to tell: a twentieth


def test_what_happens_at_the_limit_is_said():
    resets = "1 Dec 00:00 UTC"
    assert effect_at_limit(hard=True, envs=["dev"], resets=resets, exhausted=False) == (
        "At 100%, calls in dev are refused with 402 until 1 Dec 00:00 UTC."
    )
    assert effect_at_limit(hard=True, envs=[], resets=resets, exhausted=True) == (
        "Until 1 Dec 00:00 UTC, all calls are refused with 402."
    )
    assert "go on" in effect_at_limit(hard=False, envs=[], resets=resets, exhausted=True)


def test_names():
    assert checked_name("  Team   spend ") == "Team spend"
    for bad in ("", "   ", "x" * 81, 'a "quoted" one', "bell\x07"):
        with pytest.raises(InvalidBudgetError) as refused:
            checked_name(bad)
        assert refused.value.field == "name"


def test_amounts():
    assert checked_amount("0.0001") == 100
    assert checked_amount("1,250.50") == 1_250_500_000
    for bad in ("0", "-1", "ten", "", "0.0000001", "1e3", "1.250,50"):
        with pytest.raises(InvalidBudgetError) as refused:
            checked_amount(bad)
        assert refused.value.field == "amount"


def test_thresholds():
    assert checked_thresholds(["80", "50 %", "80", 120], hard=False) == [50, 80, 120]
    assert checked_thresholds(["50"], hard=True) == [50, 100]
    for bad in ([], ["0"], ["1001"], ["99999999999"], ["50.5"], ["-5"], ["many"], [str(n) for n in range(1, 12)]):
        with pytest.raises(InvalidBudgetError) as refused:
            checked_thresholds(bad, hard=False)
        assert refused.value.field == "thresholds"


def test_environments():
    assert checked_envs(["prod", "dev", "dev"], ("dev", "prod")) == ["dev", "prod"]
    assert checked_envs([], ("dev",)) == []
    with pytest.raises(InvalidBudgetError, match="'stage'"):
        checked_envs(["stage"], ("dev", "prod"))


def test_exact_spend_comes_back_from_sql(db, tenant):
    from tests.budgets.making import make_budget, period_of

    budget = make_budget(tenant)
    for pico in (0, 1, 2**63, 2**64 + 7, 10**30 + 1):
        with across_tenants("a test writes"):
            BudgetPeriod.objects.filter(budget=budget).update(spent=pico)
        assert period_of(budget).spent == pico


def test_exact_spend_is_never_compared_as_text(db):
    assert isinstance(BudgetPeriod._meta.get_field("spent"), PicoField)
    with across_tenants("a test asks"), pytest.raises(FieldError, match="Compare in Python"):
        BudgetPeriod.objects.filter(spent__gt=5)
