"""Budgets in the tenant's own currency."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import time_machine
from django.urls import reverse

from budgets.actions import Settings, change_budget
from budgets.errors import InvalidBudgetError
from budgets.evaluator import evaluate
from budgets.models import Budget, Crossing, Decision
from budgets.queries import tenant_block
from pricing.models import ExchangeRate
from pricing.rates.actions import sync_rates
from pricing.rates.base import reference
from tenants.actions.tenants import change_tenant
from tenants.scope import across_tenants
from tests.budgets.making import NOON, SOMEBODY, Ledger, crossings, make_budget, period_of
from tests.tenants.making import make_tenant

OCTOBER, NOVEMBER = date(2026, 10, 30), date(2026, 11, 30)


class Figures:
    """EUR 1 is USD 1.25 at the end of October and USD 1.6 at the end of November; INR 100 on both days."""

    name = "a test's source"

    def read(self, *, since: date):
        figures = (
            (OCTOBER, "USD", "1.25"),
            (OCTOBER, "INR", "100"),
            (NOVEMBER, "USD", "1.6"),
            (NOVEMBER, "INR", "100"),
        )
        return sorted(reference(*each) for each in figures)


@pytest.fixture
def rates(db):
    sync_rates([Figures()], by=SOMEBODY)


@pytest.fixture
def november():
    with time_machine.travel(NOON):
        yield


@pytest.fixture
def tenant(rates):
    return make_tenant("Acme", currency="INR", time_zone="Asia/Kolkata")


def test_the_limit_is_converted_by_the_rate_of_the_periods_first_day(tenant):
    budget = make_budget(tenant, "8000", currency="INR")
    assert budget.limit == 100 * 10**12  # 80 INR for a dollar
    assert (budget.rate_day, budget.conversion) == (OCTOBER, "₹8,000.00 at 80 INR for $1 (ECB, 30 Oct 2026)")
    evaluate(NOON, read=Ledger({budget.id: 99 * 10**12}))
    assert period_of(budget).exhausted_at is None
    evaluate(NOON, read=Ledger({budget.id: 100 * 10**12}))
    assert period_of(budget).exhausted_at == NOON
    block = tenant_block(tenant.id, "dev")
    assert block is not None
    assert block.message.startswith('Budget "First" used: $100.00 of $100.00 (₹8,000.00).')


def test_the_next_period_takes_its_own_rate_and_this_one_keeps_its(tenant):
    budget = make_budget(tenant, "8000", currency="INR")
    evaluate(datetime(2026, 11, 30, 12, tzinfo=UTC), read=Ledger())
    with across_tenants("a test looks"):
        assert Budget.objects.get().rate_day == OCTOBER
    evaluate(datetime(2026, 12, 1, 12, tzinfo=UTC), read=Ledger())
    with across_tenants("a test looks"):
        again = Budget.objects.get()
    assert (again.rate_day, again.limit) == (NOVEMBER, 128 * 10**12)  # 62.5 INR for a dollar
    assert (again.version, again.amount) == (budget.version, "₹8,000.00")


def test_a_period_begins_with_the_last_known_rate_when_there_is_no_newer_one(tenant):
    make_budget(tenant, "8000", currency="INR")
    ExchangeRate.objects.all().delete()
    evaluate(datetime(2027, 3, 1, 12, tzinfo=UTC), read=Ledger())
    with across_tenants("a test looks"):
        assert Budget.objects.get().limit == 100 * 10**12


def test_a_budget_changes_its_currency(tenant):
    budget = make_budget(tenant, "8000", currency="INR")
    done = change_budget(
        budget_id=budget.id, tenant_id=tenant.id, wanted=Settings("First", "90", "USD"), by=SOMEBODY, now=NOON
    )
    assert (done.budget.limit, done.raised, done.budget.conversion) == (90 * 10**12, False, "")


def test_a_currency_without_rates_is_refused(tenant):
    with pytest.raises(InvalidBudgetError, match="publishes no rate of AED") as refused:
        make_budget(tenant, "10", currency="AED")
    assert refused.value.field == "currency"
    with across_tenants("a test looks"):
        assert not Budget.objects.exists()


def test_the_form_offers_the_tenants_currency_and_usd(november, rates, admin_client):
    tenant = admin_client.tenant
    change_tenant(tenant=tenant, currency="EUR", by=SOMEBODY, version=tenant.version)
    form = admin_client.get(reverse("budgets:new")).context["form"]
    assert [code for code, _ in form.fields["currency"].choices] == ["EUR", "USD"]
    data = {"name": "First", "amount": "1,000", "currency": "EUR", "enforcement": "soft", "thresholds": "80"}
    page = admin_client.post(reverse("budgets:new"), data, follow=True).content.decode()
    assert "€1,000.00" in page
    assert "EUR for $1 (ECB," in page
    with across_tenants("a test looks"):
        edit = admin_client.get(reverse("budgets:edit", args=[Budget.objects.get().id])).content.decode()
    assert 'value="1,000.00"' in edit


def test_what_is_counted_late_of_a_period_that_is_over_is_held_against_its_own_limit(tenant):
    """In November 8,000 INR are $100, in December $128: a rate of December crosses, or undoes, nothing of November."""
    budget = make_budget(tenant, "8000", currency="INR", thresholds=(50, 95))
    evaluate(NOON, read=Ledger({budget.id: 60 * 10**12}))
    assert crossings(budget) == [("threshold", 50, "waiting")]
    december = datetime(2026, 12, 1, 12, tzinfo=UTC)
    evaluate(december, read=Ledger({f"{budget.id} 2026-11-01": 96 * 10**12}, data_to=december))
    assert crossings(budget) == [("threshold", 50, "waiting"), ("threshold", 95, "waiting")]
    with across_tenants("a test looks"):
        late = Crossing.objects.get(threshold=95)
        assert (late.limit, late.first_day) == (100 * 10**12, date(2026, 11, 1))
        assert (
            Decision.objects.filter(what=Decision.What.CROSSED).latest("id").why
            == "95% of $100.00 (₹8,000.00) is used."
        )
        assert Budget.objects.get().limit == 128 * 10**12


def test_a_rate_that_is_published_in_the_period_moves_no_limit(tenant):
    """The rate of the first day comes in its afternoon: whoever edits a budget later sets what they set and no more."""
    budget = make_budget(tenant, "8000", currency="INR", thresholds=(50, 95))
    first, later = datetime(2026, 12, 1, 12, tzinfo=UTC), datetime(2026, 12, 9, 12, tzinfo=UTC)
    evaluate(first, read=Ledger())
    for day in (first.date(), date(2026, 12, 31)):
        for currency, units in (("USD", 2 * 10**8), ("INR", 100 * 10**8)):
            ExchangeRate.objects.create(day=day, currency=currency, rate_e8=units, source="a test", seen_at=first)

    def changed(amount: str, currency: str = "INR", **more) -> tuple[int, date | None]:
        wanted = Settings("First", amount, currency, enforcement="hard", **more)
        done = change_budget(budget_id=budget.id, tenant_id=tenant.id, wanted=wanted, by=SOMEBODY, now=later)
        return done.budget.limit // 10**12, done.budget.rate_day

    assert changed("8000", thresholds=(60, 95)) == (128, NOVEMBER)
    assert changed("4000", thresholds=(60, 95)) == (64, NOVEMBER)
    january = datetime(2027, 1, 1, 12, tzinfo=UTC)
    evaluate(january, read=Ledger({f"{budget.id} 2026-12-01": 62 * 10**12}, data_to=january))
    assert crossings(budget)[-1] == ("threshold", 95, "waiting"), "62 of $64, and not of the $80 of January"
    with across_tenants("a test looks"):
        assert Budget.objects.get().limit == 80 * 10**12


def test_another_currency_has_the_rate_of_the_first_day(tenant):
    budget = make_budget(tenant, "100", now=datetime(2026, 11, 30, 22, tzinfo=UTC))
    wanted = Settings("First", "8000", "INR", enforcement="hard")
    done = change_budget(
        budget_id=budget.id, tenant_id=tenant.id, wanted=wanted, by=SOMEBODY, now=datetime(2026, 12, 9, tzinfo=UTC)
    )
    assert (done.budget.limit, done.budget.rate_day) == (128 * 10**12, NOVEMBER)
