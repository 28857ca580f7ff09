"""Calls as sums that can be priced otherwise, exactly, without reading them one by one.

What a call costs is a sum of units × price in whole numbers of pico-USD, and no amount is rounded. So calls that have
the same prices come to what the sums of their units come to. Alike are calls of one tenant, project and environment, of
one provider, model and service tier, within one span of time and one span of context lengths: whoever asks says where
prices or overrides begin and end, and above which lengths other prices hold. Calls that used other kinds of units are
kept apart, because one unit without a price leaves the whole call unpriced.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from spend.clickhouse.client import ask
from spend.queries.filters import Conditions
from wire.money import pico_from_usd_string

_NAMES_MOST = 2_000  # beyond, a statement would become too long: then all calls are read
_IN_WINDOW = (  # imported usage is priced by its import alone
    "kind = 'call' AND source = ''"
    " AND ts >= fromUnixTimestamp64Milli(%(begin)s) AND ts < fromUnixTimestamp64Milli(%(end)s)"
)
_USD = "toString(sum(ifNull({}, toDecimal128(0, 12))))"
_CALLED = f"""
SELECT tenant_id, provider, model_asked, model_priced, price_version, count(), countIf(isNull(charge)),
    {_USD.format("cost")}, {_USD.format("charge")}
FROM usage_events FINAL WHERE {{}}
GROUP BY tenant_id, provider, model_asked, model_priced, price_version
"""  # noqa: S608 - our own SQL
_SUMS = f"""
SELECT tenant_id, project_id, env, provider, model_asked, model_priced, price_version, service_tier,
    roundDown(toUInt64(toUnixTimestamp64Milli(ts)), %(moments)s) AS since,
    roundDown(input_tokens, %(lengths)s) AS context,
    empty(units) AS unused,
    arraySort(mapKeys(mapFilter((name, used) -> used > 0, units))) AS names,
    sumMap(mapApply((name, used) -> (name, toUInt128(used)), units)),
    count(), countIf(isNull(charge)), {_USD.format("cost")}, {_USD.format("charge")}
FROM usage_events FINAL WHERE {{}}
GROUP BY tenant_id, project_id, env, provider, model_asked, model_priced, price_version, service_tier, since, context,
    unused, names
"""  # noqa: S608 - our own SQL

Name = tuple[str, str, str]  # provider, model asked, model priced


class Called(NamedTuple):
    """What was called, and what that cost and was charged as it is stored, in pico-USD."""

    tenant: str
    provider: str
    model_asked: str
    model_priced: str
    price_version: int
    calls: int
    unpriced: int
    cost: int
    charge: int

    @property
    def name(self) -> Name:
        return self.provider, self.model_asked, self.model_priced


class Alike(NamedTuple):
    """Calls that have the same prices, with the sums of their units. Money as stored, in pico-USD."""

    tenant: str
    project: str
    env: str
    provider: str
    model_asked: str
    model_priced: str
    price_version: int
    service_tier: str
    since: int  # Unix ms: the last boundary that is not after them
    context: int  # input tokens: the last boundary that is not above them
    units: dict[str, int]  # empty when they used nothing
    calls: int
    unpriced: int  # how many of them have no charge
    cost: int
    charge: int


def called(begin: int, end: int, *, tenant_id: str | None) -> list[Called]:
    """What was called from `begin` on and before `end` (Unix ms), by a tenant, or by all of them.

    Raises ClickHouseError.
    """
    sql, parameters = _question(_CALLED, begin, end, tenant_id)
    rows = ask(
        sql, parameters, tenant_id=tenant_id, across_tenants=tenant_id is None, purpose="what if: what was called"
    )
    return [Called(*row[:7], *map(pico_from_usd_string, row[7:])) for row in rows]


def alike_calls(
    begin: int,
    end: int,
    *,
    tenant_id: str | None,
    names: Collection[Name],
    moments: Sequence[int],
    lengths: Sequence[int],
) -> list[Alike]:
    """The calls of some names, of a tenant or of all, put together as far as their prices can be the same.

    `moments` (Unix ms, from `begin` on) and `lengths` (input tokens, from 0 on) are the boundaries, rising: each holds
    until the next. Raises ClickHouseError.
    """
    if not names:
        return []
    narrowed: dict[str, Any] = {"names": tuple(sorted(names))} if len(names) <= _NAMES_MOST else {}
    sql, parameters = _question(_SUMS, begin, end, tenant_id, narrowed)
    parameters |= {"moments": list(moments), "lengths": list(lengths)}
    rows = ask(sql, parameters, tenant_id=tenant_id, across_tenants=tenant_id is None, purpose="what if: sums of units")
    return [_alike(row) for row in rows]


def _question(
    sql: str, begin: int, end: int, tenant_id: str | None, narrowed: dict[str, Any] | None = None
) -> tuple[str, dict[str, Any]]:
    where = _IN_WINDOW
    if narrowed:
        where = f"{where} AND (provider, model_asked, model_priced) IN %(names)s"
    parameters: dict[str, Any] = {"begin": begin, "end": end} | (narrowed or {})
    if tenant_id is not None:
        where = str(Conditions().add(where))
    return sql.replace("{}", where), parameters


def _alike(row: tuple[Any, ...]) -> Alike:
    unused, names, sums, calls, unpriced, cost, charge = row[10:]
    # what is counted zero costs nothing and needs no price, but a call that counts it did use what is counted
    units = {} if unused else {name: int(sums[name]) for name in names} or dict.fromkeys(sums, 0) or {"requests": 0}
    return Alike._make((*row[:10], units, calls, unpriced, pico_from_usd_string(cost), pico_from_usd_string(charge)))
