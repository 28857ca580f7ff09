"""Who used a model: a tenant's projects and keys, or all tenants."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from spend.clickhouse.client import ask
from spend.queries.filters import Conditions
from spend.queries.rollup import counted_days

Name = tuple[str, str]  # provider, model as the rollup calls it


class Used(NamedTuple):
    """What was used. Money in USD, exact; unpriced calls count as nothing in it and are said beside it."""

    requests: int
    tokens: int
    cost: Decimal
    charge: Decimal
    unpriced: int


class User(NamedTuple):
    """A key of a project, or a whole tenant: then `project` and `key` are ""."""

    tenant: str
    project: str
    key: str
    used: Used


class ModelUse(NamedTuple):
    """All use of a model, and the users who were charged most, of whom there are `number`."""

    whole: Used
    users: list[User]
    number: int


_SUMS = (
    "sum(requests) AS calls, sum(input_tokens + output_tokens) AS tokens, sum(cost) AS costs, sum(charge) AS charges,"
    " sum(unpriced_requests) AS unpriced"
)
_WHOLE = "sum(calls) OVER (), sum(tokens) OVER (), sum(costs) OVER (), sum(charges) OVER (), sum(unpriced) OVER ()"
_DAYS = "day BETWEEN %(first)s AND %(last)s"
_NAMED = "(provider, model) IN %(names)s"


def model_use(
    tenant_id: str, names: Sequence[Name], first: date, last: date, *, keys: Collection[str] | None, most: int
) -> ModelUse:
    """A tenant's use of the model with these names on its own days, by project and key.

    `keys`: those whose use may be seen; None means all. Raises ClickHouseError.
    """
    where = Conditions().days(first, last).keys(keys).add(_NAMED, names=tuple(names))
    sql = _question("tenant_id, project_id, key_id", str(where), where.whole_days)
    parameters = where.parameters | {"most": most}
    return _found(ask(sql, parameters, tenant_id=tenant_id, purpose="use of a model"))


def model_use_everywhere(names: Sequence[Name], first: date, last: date, *, most: int) -> ModelUse:
    """The same of all tenants, by tenant, each on its own days. Raises ClickHouseError."""
    sql = _question("tenant_id, '', ''", f"{_DAYS} AND {_NAMED}", _DAYS)
    parameters = {"first": first, "last": last, "names": tuple(names), "most": most}
    return _found(ask(sql, parameters, across_tenants=True, purpose="use of a model in all tenants"))


def _question(group: str, where: str, days: str) -> str:
    columns = [f"{each} AS {name}" for each, name in zip(group.split(", "), ("tenant", "project", "key"), strict=True)]
    inner = (
        f"SELECT {', '.join(columns)}, {_SUMS} FROM {counted_days(where, days)}"  # noqa: S608 - our own SQL
        " GROUP BY tenant, project, key HAVING calls > 0"
    )
    return (
        f"SELECT tenant, project, key, calls, tokens, costs, charges, unpriced, {_WHOLE}, count() OVER ()"  # noqa: S608
        f" FROM ({inner}) ORDER BY charges DESC, calls DESC, tenant, project, key LIMIT %(most)s"
    )


def _found(rows: Sequence[tuple[Any, ...]]) -> ModelUse:
    if not rows:
        return ModelUse(Used(0, 0, Decimal(), Decimal(), 0), [], 0)
    return ModelUse(Used(*rows[0][8:13]), [User(row[0], row[1], row[2], Used(*row[3:8])) for row in rows], rows[0][13])
