"""A tenant's refused calls, counted by reason and one by one."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple

from spend.clickhouse.client import ask
from spend.queries.filters import NEWEST_FIRST, Conditions, uuid_or_none
from spend.zones import ms_of


class DenialRow(NamedTuple):
    """One refused call. `ts` is the arrival, UTC."""

    event_id: uuid.UUID
    ts: datetime
    env: str
    project: str
    key: str
    route: str
    model_asked: str
    reason: str
    revs: dict[str, int]
    http_status: int
    request_id: str


class ReasonCount(NamedTuple):
    """How many calls were refused for a reason."""

    reason: str
    requests: int


_COLUMNS = ", ".join({"project": "project_id", "key": "key_id"}.get(name, name) for name in DenialRow._fields)
_SELECT = f"SELECT {_COLUMNS} FROM denial_events FINAL"  # noqa: S608 - our own columns


def denials_by_reason(
    tenant_id: str,
    first: date,
    last: date,
    *,
    envs: Sequence[str] = (),
    reason: str = "",
    project: str = "",
    key: str = "",
    keys: Collection[str] | None = None,
) -> list[ReasonCount]:
    """Refused calls of the tenant's own days by reason, the most frequent first. `keys`: those that may be seen."""
    where = Conditions().arrived_on(tenant_id, first, last).envs(envs).keys(keys)
    where.equal(reason=reason, project_id=project, key_id=key)
    sql = (
        "SELECT reason, count() AS calls FROM denial_events FINAL"  # noqa: S608
        f" WHERE {where} GROUP BY reason ORDER BY calls DESC, reason"
    )
    return [ReasonCount(*row) for row in ask(sql, where.parameters, tenant_id=tenant_id, purpose="denials by reason")]


def find_denials(
    tenant_id: str,
    first: date,
    last: date,
    *,
    envs: Sequence[str] = (),
    reason: str = "",
    project: str = "",
    key: str = "",
    keys: Collection[str] | None = None,
    before: str = "",
    most: int = 50,
) -> list[DenialRow]:
    """Refused calls of the tenant's own days, newest first. `keys`: those that may be seen; None means all.

    `before` is the event id that the page before ended with (an unknown one leaves the first page).
    """
    where = Conditions().arrived_on(tenant_id, first, last).envs(envs).keys(keys)
    where.equal(reason=reason, project_id=project, key_id=key)
    if before and (ended := _denial_by_id(tenant_id, before)):
        where.before(ms_of(ended.ts), str(ended.event_id))
    sql = f"{_SELECT} WHERE {where} {NEWEST_FIRST} LIMIT %(most)s"
    rows = ask(sql, where.parameters | {"most": most}, tenant_id=tenant_id, purpose="denials")
    return [DenialRow(*row) for row in rows]


def _denial_by_id(tenant_id: str, event_id: str) -> DenialRow | None:
    where = Conditions().add("event_id = %(event_id)s", event_id=uuid_or_none(event_id))
    rows = ask(f"{_SELECT} WHERE {where}", where.parameters, tenant_id=tenant_id, purpose="denial by id")
    return DenialRow(*rows[0]) if rows else None
