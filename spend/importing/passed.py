"""What passed the gateway, as far as imported usage may hold it as well."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from spend.clickhouse.client import ask
from spend.importing.matching import Passed, Passes, Span
from spend.importing.price import Pricing
from spend.importing.rows import DAY_SECONDS
from spend.queries.filters import Conditions
from spend.queries.measures import OF_EVENTS
from wire.money import pico_from_usd_string

_IDS_AT_ONCE = 2_000
_AROUND_MS = DAY_SECONDS * 1000  # clocks differ, and calls last
_PASSED = "source = '' AND kind = 'call'"


def passed_on(tenant_id: str, day: int, widths: Iterable[int], pricing: Pricing) -> Passes:
    """What passed the gateway on a UTC day (its first moment, Unix ms), by spans of each width in seconds."""
    found: Passes = {}
    for seconds in sorted(set(widths)):
        where = Conditions().arrived(day, day + DAY_SECONDS * 1000).add(_PASSED, width=seconds * 1000)
        sql = (
            "SELECT intDiv(toUnixTimestamp64Milli(ts), %(width)s) * %(width)s AS begin, provider,"  # noqa: S608
            " if(model_priced = '', model_asked, model_priced) AS model, credential, project_id,"
            f" {OF_EVENTS['requests']}, sumMap(mapApply((name, used) -> (name, toUInt64(used)), units)),"
            " toString(sum(ifNull(cost, toDecimal128(0, 12))))"
            f" FROM usage_events FINAL WHERE {where}"
            " GROUP BY begin, provider, model, credential, project_id"
            " ORDER BY begin, provider, model, credential, project_id"
        )
        rows = ask(sql, where.parameters, tenant_id=tenant_id, purpose="what passed the gateway")
        for begin, provider, model, credential, project, calls, units, cost in rows:
            span = Span(begin, seconds, provider, pricing.named(provider, model))
            passed = Passed(credential, project, calls, dict(units), pico_from_usd_string(cost))
            found.setdefault(span, []).append(passed)
    return found


def calls_that_passed(tenant_id: str, request_ids: Collection[str], begin: int, end: int) -> set[str]:
    """Which of these calls, by the provider's ids, passed the gateway about from `begin` to `end` (Unix ms)."""
    ids, found = sorted(set(request_ids) - {""}), set[str]()
    for first in range(0, len(ids), _IDS_AT_ONCE):
        where = Conditions().arrived(begin - _AROUND_MS, end + _AROUND_MS).add(_PASSED)
        where.add("upstream_request_id IN %(ids)s", ids=tuple(ids[first : first + _IDS_AT_ONCE]))
        sql = f"SELECT DISTINCT upstream_request_id FROM usage_events FINAL WHERE {where}"  # noqa: S608
        found |= {row[0] for row in ask(sql, where.parameters, tenant_id=tenant_id, purpose="what passed the gateway")}
    return found
