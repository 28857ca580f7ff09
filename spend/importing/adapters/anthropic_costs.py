"""Anthropic's cost reports: the Admin API's cost report (JSON) and the Console's cost export (CSV).

https://docs.anthropic.com/en/api/admin-api/usage-cost/get-cost-report: `amount` is a decimal text in the currency's
lowest unit, cents: "123.45" is $1.2345. Grouped by description, a result names its `model` and `token_type`. The
Console's export has dollars (`cost_usd`), and models by the names that people read ("Claude Haiku 4.5").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spend.importing.adapters.base import (
    Adapter,
    Found,
    bucket_identity,
    bucket_rows,
    grouped,
    named,
    one_row,
)
from spend.importing.rows import COSTS, DAY_SECONDS, Record, Row, RowError, moment_ms, pico, text

_PAGE = "https://docs.anthropic.com/en/api/admin-api/usage-cost/get-cost-report"
_GROUPS = (
    "workspace_id", "description", "model", "token_type", "cost_type", "service_tier", "context_window",
    "inference_geo", "speed",
)  # fmt: skip
_CSV_GROUPS = (
    "workspace", "api_key", "model", "usage_type", "context_window", "token_type", "cost_type", "inference_geo",
    "speed",
)  # fmt: skip
_CENTS = 100


def rows(record: Record) -> Iterator[Found]:
    """The rows of a page, or of a single bucket."""
    return bucket_rows(record, _row)


def csv_rows(record: Record) -> Iterator[Found]:
    """A line of the Console's export."""
    return one_row(record, _csv_row)


def _row(bucket: Mapping[str, Any], result: Mapping[str, Any]) -> Row | None:
    begin, end = moment_ms(bucket.get("starting_at"), "starting_at"), moment_ms(bucket.get("ending_at"), "ending_at")
    amount, currency = amount_of(result)
    if currency != "USD":
        raise RowError(f"It is in {currency[:10]}: only amounts in USD can be imported.")
    groups = {name: text(result.get(name)) for name in _GROUPS}
    return _bucket(begin, (end - begin) // 1000, amount, groups, groups["model"], named([("", groups["workspace_id"])]))


def _csv_row(values: Mapping[str, Any]) -> Row | None:
    groups = {name: text(values.get(name)) for name in _CSV_GROUPS}
    amount = pico(values.get("cost_usd"), "cost_usd")
    if amount is None:
        raise RowError("cost_usd is missing.")
    theirs = named([("key", groups["api_key"]), ("workspace", groups["workspace"])])
    begin = moment_ms(values.get("usage_date_utc"), "usage_date_utc")
    return _bucket(begin, DAY_SECONDS, amount, groups, model_of(groups["model"]), theirs)


def _bucket(
    begin: int, seconds: int, amount: int, groups: Mapping[str, str], model: str, theirs: tuple[str, ...]
) -> Row | None:
    if amount == 0:
        return None
    return Row(
        ts=begin,
        seconds=seconds,
        provider="anthropic",
        model=model,
        calls=0,
        cost=amount,
        identity=bucket_identity(COSTS, begin, seconds, groups),
        shape=grouped(COSTS, seconds, groups),
        theirs=theirs,
    )


def amount_of(result: Mapping[str, Any]) -> tuple[int, str]:
    """A result's amount in pico-units of its currency, and the currency. Raises RowError."""
    found = pico(result.get("amount"), "amount", per_usd=_CENTS)
    if found is None:
        raise RowError("It has no amount.")
    return found, text(result.get("currency")).upper() or "USD"


def model_of(label: str) -> str:
    """The id of a model that is named for people: "Claude Haiku 4.5" is claude-haiku-4-5."""
    return label.strip().lower().replace(" ", "-").replace(".", "-")


ADAPTER = Adapter("anthropic_costs", "Anthropic: cost report of the Admin API (JSON)", "anthropic", "json", _PAGE, rows)
CSV_ADAPTER = Adapter(
    "anthropic_costs_csv",
    "Anthropic: cost export of the Console (CSV)",
    "anthropic",
    "csv",
    _PAGE,
    csv_rows,
    frozenset({"usage_date_utc", "model", "cost_usd"}),
)
