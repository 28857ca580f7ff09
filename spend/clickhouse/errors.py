"""What can go wrong between us and ClickHouse, in our own words."""

from __future__ import annotations


class ClickHouseError(Exception):
    """A statement that did not succeed."""


class UnavailableError(ClickHouseError):
    """ClickHouse does not answer: not started, unreachable, or gone in the middle. Trying later may help."""


class StoppedError(UnavailableError):
    """Somebody stopped the question while it ran. It is not asked again by itself."""


class PagesOffError(UnavailableError):
    """The pages are switched off (SPENDOPS_SPEND_PAGES): they ask nothing. Jobs, budgets and consumers go on."""


class RefusedError(ClickHouseError):
    """ClickHouse refused a statement (its error code in `code`): trying again will not help."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class TooMuchError(RefusedError):
    """A question that took too long or gave too many rows."""


class TenantFilterError(RuntimeError):
    """A question about a tenant's rows that does not filter by tenant. It is not asked."""
