"""Tokens that a tenant's calls read from providers' caches, put together as far as their prices can be the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from spend.clickhouse.client import ask
from spend.queries.filters import Conditions
from spend.queries.slices import Slice, single_events

_NAME = "provider, model_asked, model_priced, price_version"
_READ = "sumMap(mapFilter((name, used) -> endsWith(name, 'cache_read') AND used > 0, units))"


class ReadName(NamedTuple):
    """What was called, and by which price book it was priced."""

    provider: str
    model_asked: str
    model_priced: str
    price_version: int


class CachedReads(NamedTuple):
    """Calls that have the same prices, with the tokens that they read from caches by unit."""

    name: ReadName
    service_tier: str
    since: int  # Unix ms: the last boundary that is not after them
    context: int  # input tokens: the last boundary that is not above them
    units: dict[str, int]


def names_that_read(tenant_id: str, of: Slice) -> list[ReadName]:
    """What was called by a slice's calls that read from a cache."""
    where = _where(tenant_id, of)
    sql = f"SELECT DISTINCT {_NAME} FROM usage_events FINAL WHERE {where}"  # noqa: S608 - our own SQL
    return [ReadName(*row) for row in _asked(sql, where.parameters, tenant_id)]


def cached_reads(tenant_id: str, of: Slice, *, moments: Sequence[int], lengths: Sequence[int]) -> list[CachedReads]:
    """What a slice's calls read. `moments` (Unix ms) and `lengths` (input tokens, from 0) are where prices change."""
    where = _where(tenant_id, of)
    sql = (
        f"SELECT {_NAME}, service_tier, roundDown(toUInt64(toUnixTimestamp64Milli(ts)), %(moments)s) AS since,"  # noqa: S608
        f" roundDown(input_tokens, %(lengths)s) AS context, {_READ} FROM usage_events FINAL WHERE {where}"
        f" GROUP BY {_NAME}, service_tier, since, context"
    )
    rows = _asked(sql, where.parameters | {"moments": list(moments), "lengths": list(lengths)}, tenant_id)
    return [CachedReads(ReadName(*row[:4]), *row[4:]) for row in rows]


def _where(tenant_id: str, of: Slice) -> Conditions:
    return single_events(tenant_id, of).add("cached_tokens > 0 AND kind = 'call' AND source = ''")


def _asked(sql: str, parameters: dict[str, Any], tenant_id: str) -> list[tuple[Any, ...]]:
    return ask(sql, parameters, tenant_id=tenant_id, purpose="cache savings")
