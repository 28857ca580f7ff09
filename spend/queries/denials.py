"""A tenant's refused calls, counted by reason and one by one."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from spend.clickhouse.client import ask
from spend.zones import bounds, zone_of


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


def denials_by_reason(
    tenant_id: str,
    first: date,
    last: date,
    *,
    envs: Sequence[str] = (),
    reason: str = "",
    project: str = "",
    key: str = "",
) -> list[ReasonCount]:
    """Refused calls of the tenant's own days by reason, the most frequent first."""
    where, parameters = _where(tenant_id, first, last, envs, reason=reason, project=project, key=key)
    sql = f"SELECT reason, count() AS calls FROM denial_events FINAL WHERE {where} GROUP BY reason ORDER BY calls DESC, reason"  # noqa: S608, E501
    return [ReasonCount(*row) for row in ask(sql, parameters, tenant_id=tenant_id, purpose="denials by reason")]


def find_denials(
    tenant_id: str,
    first: date,
    last: date,
    *,
    envs: Sequence[str] = (),
    reason: str = "",
    project: str = "",
    key: str = "",
    before: str = "",
    most: int = 50,
) -> list[DenialRow]:
    """Refused calls of the tenant's own days, newest first. `before` is the event id that a page ended with."""
    where, parameters = _where(tenant_id, first, last, envs, reason=reason, project=project, key=key)
    parameters["most"] = most
    if before:
        where += (
            " AND (ts, event_id) < (SELECT ts, event_id FROM denial_events"
            " WHERE tenant_id = %(tenant_id)s AND event_id = %(before)s LIMIT 1)"
        )
        parameters["before"] = str(uuid.UUID(before))
    sql = f"SELECT {_COLUMNS} FROM denial_events FINAL WHERE {where} ORDER BY ts DESC, event_id DESC LIMIT %(most)s"  # noqa: S608
    return [DenialRow(*row) for row in ask(sql, parameters, tenant_id=tenant_id, purpose="denials")]


def _where(tenant_id: str, first: date, last: date, envs: Sequence[str], **chosen: str) -> tuple[str, dict[str, Any]]:
    begin, end = bounds(first, last, zone_of(tenant_id))
    parameters: dict[str, Any] = {
        "begin": int(begin.timestamp()) * 1000,
        "end": int(end.timestamp()) * 1000,
        "envs": tuple(envs),
    } | chosen
    columns = {"reason": "reason", "project": "project_id", "key": "key_id"}
    parts = [
        "tenant_id = %(tenant_id)s",
        "ts >= fromUnixTimestamp64Milli(%(begin)s)",
        "ts < fromUnixTimestamp64Milli(%(end)s)",
        *(["env IN %(envs)s"] if envs else []),
        *(f"{columns[name]} = %({name})s" for name, value in chosen.items() if value),
    ]
    return " AND ".join(parts), parameters
