"""What was spent in many windows at once: the budgets' question, one statement for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from spend.clickhouse.client import ask
from spend.queries.freshness import complete_to
from spend.queries.rollup import counted_days
from wire.money import pico_from_usd_string

WINDOWS_AT_ONCE = 1_000  # a statement is 256 KB at most

# the windows come as arrays of texts, one a column, which ClickHouse reads as one literal each
_SQL = f"""
SELECT each.1 AS id, toString(sum(days.charge)), sum(days.requests)
FROM (SELECT arrayJoin(arrayZip(%(ids)s, %(tenants)s, %(firsts)s, %(lasts)s, %(envs)s)) AS each) AS windows
INNER JOIN (
    SELECT tenant_id, day, env, sum(charge) AS charge, sum(requests) AS requests
    FROM {counted_days("tenant_id IN %(who)s AND day BETWEEN %(first)s AND %(last)s")}
    GROUP BY tenant_id, day, env
) AS days ON days.tenant_id = each.2
WHERE days.day BETWEEN toDate(each.3) AND toDate(each.4)
    AND (each.5 = '' OR has(splitByChar(',', each.5), days.env))
GROUP BY id
"""  # noqa: S608 - our own SQL


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
    """The spend of each window by its id; zero for one without use. Raises UnavailableError."""
    if not windows:
        return {}
    data_to = complete_to()  # read before the sums: what comes in between is then counted and not claimed
    spent = {window.id: Spent(0, 0, data_to) for window in windows}
    for begin in range(0, len(windows), WINDOWS_AT_ONCE):
        rows = ask(_SQL, _parameters(windows[begin : begin + WINDOWS_AT_ONCE]), across_tenants=True, purpose="budgets")
        spent |= {each: Spent(pico_from_usd_string(charge), requests, data_to) for each, charge, requests in rows}
    return spent


def _parameters(windows: Sequence[Window]) -> dict[str, Any]:
    return {
        "ids": [window.id for window in windows],
        "tenants": [window.tenant_id for window in windows],
        "firsts": [window.first.isoformat() for window in windows],
        "lasts": [window.last.isoformat() for window in windows],
        "envs": [",".join(window.envs) for window in windows],
        "who": tuple({window.tenant_id for window in windows}),
        "first": min(window.first for window in windows),
        "last": max(window.last for window in windows),
    }
