"""What a tenant's calls use, model by model, so that other models can be compared at that use."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import NamedTuple

from spend.clickhouse.client import ask
from spend.queries.filters import Conditions
from spend.queries.rollup import counted_days
from wire.events import Status

# a provider that answers with an error, or not at all, has used nothing
_WITHOUT_USE = (Status.ERROR.value, Status.UNREACHABLE.value)


class ModelMix(NamedTuple):
    """Sums over the calls of one model that used tokens. `cached` tokens are part of `input`."""

    provider: str
    model: str
    requests: int
    input: int
    cached: int
    output: int


def used_mix(tenant_id: str, first: date, last: date, *, keys: Collection[str] | None) -> list[ModelMix]:
    """What the calls of the tenant's own days used, by model, those with most calls first.

    `keys`: those whose calls may be seen; None means all. Calls that failed, and models that no token was counted of,
    are left out. Raises ClickHouseError.
    """
    where = Conditions().days(first, last).keys(keys).add("status NOT IN %(without)s", without=_WITHOUT_USE)
    sql = (
        "SELECT provider, model, sum(requests) AS calls, sum(input_tokens) AS tokens_in, sum(cached_tokens),"  # noqa: S608
        f" sum(output_tokens) AS tokens_out FROM {counted_days(str(where), where.whole_days)} GROUP BY provider, model"
        " HAVING calls > 0 AND tokens_in + tokens_out > 0 ORDER BY calls DESC, provider, model"
    )
    return [ModelMix(*row) for row in ask(sql, where.parameters, tenant_id=tenant_id, purpose="mix of use")]
