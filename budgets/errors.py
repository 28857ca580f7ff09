"""What budgets' actions refuse. Every message says what is wrong and what to do, and may be shown as it is."""

from __future__ import annotations

from tenants.errors import RefusedError, StaleError


class InvalidBudgetError(RefusedError):
    """A name, amount, threshold or environment that cannot be used."""


class StaleBudgetError(StaleError):
    """Somebody else changed the budget after it was read."""


class NoSuchBudgetError(RefusedError):
    """A budget that is not there, or is archived."""
