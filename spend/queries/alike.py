"""A day's usage put together as far as its prices can be the same, by API key: what unit prices explain exactly.

As in `spend.queries.what_if`, calls within one span of time, one span of context lengths and with the same kinds of
units come to what the sums of their units come to. Here the prices and overrides are those of the calls' own versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from spend.clickhouse.client import ask
from spend.queries.slices import Slice, single_events
from wire.money import pico_from_usd_string

_USED = """
SELECT DISTINCT project_id, provider, model_asked, model_priced, price_version, override_version
FROM usage_events FINAL WHERE {}
"""
_USD = "toString(sum(ifNull({}, toDecimal128(0, 12))))"
_ALIKE = f"""
SELECT key_id, project_id, env, provider, model_asked, model_priced, price_version, override_version, service_tier,
    kind, source, isNull(cost) AS no_cost, isNull(charge) AS no_charge,
    roundDown(toUInt64(toUnixTimestamp64Milli(ts)), %(moments)s) AS since,
    roundDown(usage_events.input_tokens, %(lengths)s) AS context,
    arraySort(mapKeys(mapFilter((name, used) -> used > 0, units))) AS names,
    sumMap(mapApply((name, used) -> (name, toUInt128(used)), units)),
    sum(usage_events.calls), {_USD.format("cost")}, {_USD.format("charge")}
FROM usage_events FINAL WHERE {{}}
GROUP BY key_id, project_id, env, provider, model_asked, model_priced, price_version, override_version, service_tier,
    kind, source, no_cost, no_charge, since, context, names
ORDER BY key_id, provider, model_priced, model_asked, since, context, names, env, project_id, price_version,
    override_version, service_tier, kind, source
"""  # noqa: S608 - our own SQL


class Used(NamedTuple):
    """What prices and overrides a day's usage refers to."""

    project: str
    provider: str
    model_asked: str
    model_priced: str
    price_version: int
    override_version: int


class AlikeUsage(NamedTuple):
    """Usage that has the same prices, with the sums of its units. Money as stored, in pico-USD; None when unpriced."""

    key: str
    project: str
    env: str
    provider: str
    model_asked: str
    model_priced: str
    price_version: int
    override_version: int
    service_tier: str
    kind: str
    source: str
    since: int  # Unix ms: the last boundary that is not after it
    context: int  # input tokens: the last boundary that is not above it
    units: dict[str, int]
    calls: int
    cost: int | None
    charge: int | None


def used(tenant_id: str, of: Slice) -> list[Used]:
    """What the usage of a slice refers to. Raises ClickHouseError."""
    where = single_events(tenant_id, of)
    sql = _USED.replace("{}", str(where))
    return [Used(*row) for row in ask(sql, where.parameters, tenant_id=tenant_id, purpose="export: prices used")]


def alike_usage(tenant_id: str, of: Slice, *, moments: Sequence[int], lengths: Sequence[int]) -> list[AlikeUsage]:
    """The usage of a slice. `moments` (Unix ms, from its first on) and `lengths` (input tokens, from 0 on) are where
    prices may change, rising. Raises ClickHouseError."""
    where = single_events(tenant_id, of)
    told = where.parameters | {"moments": list(moments), "lengths": list(lengths)}
    rows = ask(_ALIKE.replace("{}", str(where)), told, tenant_id=tenant_id, purpose="export: sums of units")
    return [_alike(row) for row in rows]


def _alike(row: tuple[Any, ...]) -> AlikeUsage:
    known, (no_cost, no_charge, since, context, names, sums, calls, cost, charge) = row[:11], row[11:]
    return AlikeUsage._make(
        (
            *known,
            since,
            context,
            {name: int(sums[name]) for name in names},
            calls,
            None if no_cost else pico_from_usd_string(cost),
            None if no_charge else pico_from_usd_string(charge),
        )
    )
