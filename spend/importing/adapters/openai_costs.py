"""OpenAI's costs API: https://platform.openai.com/docs/api-reference/usage/costs.

Daily buckets of `amount` {`value`, `currency`}; grouped by `line_item`, such as "gpt-4o-mini-2024-07-18, input". It is
money without usage: of one model's day, what calls through the gateway cost is taken off first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spend.importing.adapters.base import Adapter, Found, bucket_identity, bucket_rows, grouped, named
from spend.importing.rows import COSTS, Record, Row, RowError, moment_ms, pico, text

_GROUPS = ("line_item", "project_id", "api_key_id")


def rows(record: Record) -> Iterator[Found]:
    """The rows of a page, or of a single bucket."""
    return bucket_rows(record, _row)


def _row(bucket: Mapping[str, Any], result: Mapping[str, Any]) -> Row | None:
    begin, end = moment_ms(bucket.get("start_time"), "start_time"), moment_ms(bucket.get("end_time"), "end_time")
    amount, currency = amount_of(result)
    if currency != "USD":
        raise RowError(f"It is in {currency[:10]}: only amounts in USD can be imported.")
    if amount == 0:
        return None
    groups = {name: text(result.get(name)) for name in _GROUPS}
    seconds = (end - begin) // 1000
    return Row(
        ts=begin,
        seconds=seconds,
        provider="openai",
        model=model_of(groups["line_item"]),
        calls=0,
        cost=amount,
        identity=bucket_identity(COSTS, begin, seconds, groups),
        shape=grouped(COSTS, seconds, groups),
        theirs=named([("key", groups["api_key_id"]), ("project", groups["project_id"])]),
    )


def amount_of(result: Mapping[str, Any]) -> tuple[int, str]:
    """A result's amount in pico-units of its currency, and the currency. Raises RowError."""
    amount = result.get("amount")
    if not isinstance(amount, dict) or (found := pico(amount.get("value"), "amount.value")) is None:
        raise RowError("It has no amount.value.")
    return found, text(amount.get("currency")).upper() or "USD"


def model_of(line_item: str) -> str:
    """The model of a line item, which stands before the comma; a line item without one is about no model."""
    name, comma, _ = line_item.rpartition(", ")
    return name.split(" ")[0] if comma else ""


ADAPTER = Adapter(
    "openai_costs",
    "OpenAI: costs API (JSON)",
    "openai",
    "json",
    "https://platform.openai.com/docs/api-reference/usage/costs",
    rows,
)
