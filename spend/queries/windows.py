"""What was spent in many windows at once: the budgets' question, one statement for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from spend.clickhouse.client import ask
from spend.queries.freshness import complete_to
from wire.money import pico_from_usd_string

_SQL = """
WITH windows AS (
    SELECT each.1 AS id, each.2 AS tenant, toDate(each.3) AS first, toDate(each.4) AS last, CAST(each.5, 'Array(String)') AS envs
    FROM (SELECT arrayJoin(%(windows)s) AS each)
)
SELECT windows.id, toString(sum(days.charge)), sum(days.requests)
FROM windows INNER JOIN (
    SELECT tenant_id, day, env, sum(charge) AS charge, sum(requests) AS requests
    FROM usage_daily FINAL
    WHERE day BETWEEN %(first)s AND %(last)s AND tenant_id IN %(tenants)s
    GROUP BY tenant_id, day, env
) AS days ON days.tenant_id = windows.tenant
WHERE days.day BETWEEN windows.first AND windows.last AND (empty(windows.envs) OR has(windows.envs, days.env))
GROUP BY windows.id
"""


class Window(NamedTuple):
    """A tenant's days, both ends included, in the environments named (else all)."""

    id: str
    tenant_id: str
    first: date
    last: date
    envs: tuple[str, ...] = ()


class Spent(NamedTuple):
    """What a window holds. `charge` in pico-USD; `data_to` is up to when everything acknowledged is counted."""

    charge: int
    requests: int
    data_to: datetime


def spent_in_windows(windows: Sequence[Window]) -> dict[str, Spent]:
    """The spend of each window by its id. Raises UnavailableError when ClickHouse does not answer."""
    if not windows:
        return {}
    data_to = complete_to()  # read before the sums: what comes in between is then counted and not claimed
    parameters = {
        "windows": [(w.id, w.tenant_id, w.first.isoformat(), w.last.isoformat(), list(w.envs)) for w in windows],
        "first": min(w.first for w in windows),
        "last": max(w.last for w in windows),
        "tenants": tuple({w.tenant_id for w in windows}),
    }
    rows = ask(_SQL, parameters, across_tenants=True, purpose="budgets")
    found = {each: Spent(pico_from_usd_string(charge), requests, data_to) for each, charge, requests in rows}
    return {w.id: found.get(w.id, Spent(0, 0, data_to)) for w in windows}
