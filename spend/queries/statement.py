"""What a tenant's month holds, from the events themselves: the question behind a statement, and its verification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from spend.clickhouse.client import ask
from spend.cost_centres.dimension import expression
from spend.cost_centres.rules import Book
from spend.queries.dimensions import dimension
from spend.queries.filters import Conditions
from spend.queries.measures import OF_EVENTS

_SUMS = ("requests", "input_tokens", "output_tokens", "cached_tokens", "unpriced_requests", "unpriced_tokens")
# an event that stands for another one, or corrects it, has an id that begins with the moment of that one
_OF_MONTH = (
    "if(adjusts = '', toUInt64(0), toUInt64(roundDown(toUInt64(bitShiftRight(toUInt128(event_id), 80)), %(months)s)))"
)


class StatementRow(NamedTuple):
    """Usage of one kind. `of_month` is when the month began that it belongs to (Unix ms); 0: to the month itself.

    Amounts are texts of USD with twelve places.
    """

    kind: str  # "call" or "adjustment"
    of_month: int
    project: str
    cost_centre: str
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    unpriced_requests: int
    unpriced_tokens: int
    cost: str
    charge: str


def statement_rows(
    tenant_id: str, begin_ms: int, end_ms: int, *, months: Sequence[int], book: Book
) -> list[StatementRow]:
    """What the events between two moments come to. `months` are when months began, Unix ms, in order.

    Raises UnavailableError, and TooMuchError for more lines than a statement can have.
    """
    centre = expression(book)
    where = Conditions().arrived(begin_ms, end_ms)
    sums = ", ".join(f"{OF_EVENTS[name]} AS m_{name}" for name in _SUMS)
    sql = (
        f"SELECT kind, {_OF_MONTH} AS of_month, project_id, {centre.of_events} AS centre,"  # noqa: S608
        f" {dimension('model').of_events} AS model, {sums},"
        f" toString({OF_EVENTS['cost']}) AS m_cost, toString({OF_EVENTS['charge']}) AS m_charge"
        f" FROM usage_events FINAL WHERE {where}"
        " GROUP BY kind, of_month, project_id, centre, model ORDER BY kind, of_month, project_id, centre, model"
    )
    parameters = where.parameters | centre.parameters | {"months": [0, *months]}
    rows = ask(sql, parameters, tenant_id=tenant_id, purpose="statement")
    return [StatementRow(*row) for row in rows]
