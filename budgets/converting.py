"""Budgets in another currency than USD: what their amount is in USD, which spend is counted in.

The rate is that of the period's first day, as far as it was published when the budget came to the period, and holds for
all of it: a limit that moved with the exchange rate from day to day would refuse and allow calls for no reason that
anybody set.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import structlog

from budgets.errors import InvalidBudgetError
from budgets.models import Budget, BudgetPeriod
from pricing.rates.base import Rate, RatesError
from pricing.rates.queries import USD, currencies_with_rates, rate_on
from wire.money import PICO_PER_MICRO

logger = structlog.get_logger(__name__)


def convert(budget: Budget, day: date) -> None:
    """Set what a budget's amount is in USD by the rate of a day. Raises InvalidBudgetError."""
    if budget.currency == USD:
        budget.converted = budget.rate_day = budget.rate_e8 = None
        return
    try:
        rate = rate_on(budget.currency, day)
    except RatesError as error:
        raise InvalidBudgetError(
            f"A budget in {budget.currency} cannot be compared with spend: {error}", field="currency"
        ) from error
    _take(budget, rate)
    if not budget.converted:
        raise InvalidBudgetError("That amount is nothing in USD: set a larger one.", field="amount")


def convert_anew(budget: Budget, first_day: date) -> None:
    """The same for a period that begins on a day. Without rates the last known one stays in force, and it is said."""
    if budget.currency == USD or budget.rate_day == first_day:
        return
    try:
        convert(budget, first_day)
    except InvalidBudgetError as error:
        logger.error("a budget keeps its old exchange rate", budget=budget.id, reason=str(error))
        return
    Budget.objects.filter(pk=budget.pk).update(
        converted=budget.converted, rate_day=budget.rate_day, rate_e8=budget.rate_e8
    )


def rate_day_in(budget: Budget, first_day: date) -> date:
    """The day whose rate holds in a budget's period: what was published after its beginning changes nothing in it."""
    held = BudgetPeriod.objects.filter(budget=budget, first_day=first_day).values_list("rate_day", flat=True).first()
    return held or first_day


def convert_for_past(periods: Iterable[BudgetPeriod]) -> None:
    """Let the budgets of periods that are over say what they said in these. Nothing is stored.

    By then a budget may have the rate of a later period, which decides nothing of an earlier one.
    """
    rates: dict[tuple[str, date], Rate | None] = {}
    for period in periods:
        budget, key = period.budget, (period.budget.currency, period.rate_day or period.first_day)
        if budget.currency == USD:
            continue
        if key not in rates:
            rates[key] = _rate_or_none(*key)
        rate = rates[key]
        if rate is not None and rate.to_micro_usd(budget.amount_micro):
            _take(budget, rate)


def budget_currencies(own: str) -> list[str]:
    """The currencies that a tenant may set budgets in: its own, if there are rates of it, and USD."""
    return [each for each in dict.fromkeys((own, USD)) if each in currencies_with_rates()]


def _take(budget: Budget, rate: Rate) -> None:
    budget.converted = rate.to_micro_usd(budget.amount_micro) * PICO_PER_MICRO
    budget.rate_day, budget.rate_e8 = rate.day, rate.per_usd_e8


def _rate_or_none(currency: str, day: date) -> Rate | None:
    try:
        return rate_on(currency, day)
    except RatesError:
        return None
