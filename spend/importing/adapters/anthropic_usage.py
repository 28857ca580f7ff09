"""Anthropic's usage reports: the Admin API's messages usage report (JSON) and the Console's export (CSV).

https://docs.anthropic.com/en/api/admin-api/usage-cost/get-messages-usage-report: `data` → buckets (`starting_at`,
`ending_at`) → `results` with `uncached_input_tokens`, `cache_read_input_tokens`, `cache_creation`
{`ephemeral_5m_input_tokens`, `ephemeral_1h_input_tokens`}, `output_tokens`, `server_tool_use` {`web_search_requests`}.
The reports say nothing of how many calls there were: a bucket with usage stands for one.
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
from spend.importing.rows import DAY_SECONDS, Record, Row, RowError, moment_ms, text, units_of, whole

_PAGE = "https://docs.anthropic.com/en/api/admin-api/usage-cost/get-messages-usage-report"
_GROUPS = ("api_key_id", "workspace_id", "model", "service_tier", "context_window", "inference_geo", "speed")
_LONG = 200_001  # tokens: above what the report calls 0-200k
_USAGE_DATE = "usage_date_utc"


def rows(record: Record) -> Iterator[Found]:
    """The rows of a page, or of a single bucket."""
    return bucket_rows(record, _row)


def csv_rows(record: Record) -> Iterator[Found]:
    """A line of the Console's export: one UTC day. It has the names of keys and workspaces where JSON has ids."""
    return one_row(record, _csv_row)


def _row(bucket: Mapping[str, Any], result: Mapping[str, Any]) -> Row | None:
    begin, end = moment_ms(bucket.get("starting_at"), "starting_at"), moment_ms(bucket.get("ending_at"), "ending_at")
    if end <= begin:
        raise RowError("Its bucket ends before it begins.")
    written, tools = _part(result, "cache_creation"), _part(result, "server_tool_use")
    units = units_of(
        input=whole(result, "uncached_input_tokens"),
        output=whole(result, "output_tokens"),
        cache_read=whole(result, "cache_read_input_tokens"),
        cache_write_5m=whole(written, "ephemeral_5m_input_tokens"),
        cache_write_1h=whole(written, "ephemeral_1h_input_tokens"),
        web_searches=whole(tools, "web_search_requests"),
    )
    groups = {name: text(result.get(name)) for name in _GROUPS}
    theirs = named([("key", groups["api_key_id"]), ("workspace", groups["workspace_id"])])
    return _bucket(begin, (end - begin) // 1000, units, groups, theirs)


def _csv_row(values: Mapping[str, Any]) -> Row | None:
    groups = {
        "api_key": text(values.get("api_key")),
        "workspace": text(values.get("workspace")),
        "model": text(values.get("model_version")),
        "service_tier": text(values.get("usage_type")),
        "context_window": text(values.get("context_window")),
        "inference_geo": text(values.get("inference_geo")),
        "speed": text(values.get("speed")),
    }
    units = units_of(
        input=whole(values, "usage_input_tokens_no_cache"),
        output=whole(values, "usage_output_tokens"),
        cache_read=whole(values, "usage_input_tokens_cache_read"),
        cache_write_5m=whole(values, "usage_input_tokens_cache_write_5m"),
        cache_write_1h=whole(values, "usage_input_tokens_cache_write_1h"),
        web_searches=whole(values, "web_search_count"),
    )
    theirs = named([("key", groups["api_key"]), ("workspace", groups["workspace"])])
    return _bucket(moment_ms(values.get(_USAGE_DATE), _USAGE_DATE), DAY_SECONDS, units, groups, theirs)


def _bucket(
    begin: int, seconds: int, units: dict[str, int], groups: Mapping[str, str], theirs: tuple[str, ...]
) -> Row | None:
    if not units:
        return None
    tier = groups["service_tier"]
    return Row(
        ts=begin,
        seconds=seconds,
        provider="anthropic",
        model=groups["model"],
        units=units,
        counted=False,
        identity=bucket_identity("messages", begin, seconds, groups),
        shape=grouped("messages", seconds, groups),
        theirs=theirs,
        service_tier="fast" if groups["speed"] == "fast" else "" if tier in ("standard", "message") else tier,
        context=_context(groups["context_window"]),
    )


def _context(window: str) -> int:
    """How long the bucket's contexts were, as far as prices go by it: to 200,000 tokens, or above."""
    if not window:
        return 0
    return _LONG if window.replace(" ", "").startswith((">", "200k-")) else 1


def _part(result: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = result.get(name) or {}
    if not isinstance(part, dict):
        raise RowError(f"{name} is not an object.")
    return part


ADAPTER = Adapter(
    "anthropic_usage", "Anthropic: usage report of the Admin API (JSON)", "anthropic", "json", _PAGE, rows
)
CSV_ADAPTER = Adapter(
    "anthropic_usage_csv",
    "Anthropic: usage export of the Console (CSV)",
    "anthropic",
    "csv",
    _PAGE,
    csv_rows,
    frozenset({_USAGE_DATE, "model_version", "usage_output_tokens"}),
)
