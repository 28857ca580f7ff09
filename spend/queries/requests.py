"""A tenant's calls, one by one."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.utils import timezone

from spend.clickhouse.client import ask
from spend.zones import bounds, zone_of
from wire.ids import event_id_ms

_ID_SLACK_MS = 300_000  # an event's ts is the arrival that its id was made of, give or take the clock's corrections
MODEL = "if(model_priced = '', model_asked, model_priced)"


class RequestRow(NamedTuple):
    """One call. Money in USD, exact; None when unpriced. `ts` is the arrival, UTC."""

    event_id: uuid.UUID
    rev: int
    ts: datetime
    env: str
    project: str
    key: str
    end_user: str
    tags: dict[str, str]
    tier: str
    route: str
    provider: str
    model_asked: str
    model_priced: str
    units: dict[str, int]
    input_tokens: int
    output_tokens: int
    price_version: int
    override_version: int
    cost: Decimal | None
    charge: Decimal | None
    usage_source: str
    kind: str
    service_tier: str
    session: str
    credential: str
    upstream_request_id: str
    status: str
    http_status: int
    ttfb_ms: int
    duration_ms: int
    streamed: bool
    cached: bool
    request_id: str


_COLUMNS = ", ".join({"project": "project_id", "key": "key_id"}.get(name, name) for name in RequestRow._fields)
_FROM = f"SELECT {_COLUMNS} FROM usage_events FINAL WHERE tenant_id = %(tenant_id)s"  # noqa: S608 - our own columns
_FILTERS = {
    "model": f"{MODEL} = %(model)s",
    "project": "project_id = %(project)s",
    "key": "key_id = %(key)s",
    "status": "status = %(status)s",
}


def request_by_id(tenant_id: str, event_id: str) -> RequestRow | None:
    """The call with an event id, at its highest rev; None when the tenant has none. An id that is no UUIDv7 has none."""
    try:
        at = event_id_ms(event_id)
    except ValueError:
        return None
    sql = (
        f"{_FROM} AND event_id = %(event_id)s"
        " AND ts BETWEEN fromUnixTimestamp64Milli(%(since)s) AND fromUnixTimestamp64Milli(%(until)s)"
    )
    parameters = {"event_id": str(uuid.UUID(event_id)), "since": at - _ID_SLACK_MS, "until": at + _ID_SLACK_MS}
    rows = ask(sql, parameters, tenant_id=tenant_id, purpose="request by id")
    return RequestRow(*rows[0]) if rows else None


def find_requests(
    tenant_id: str,
    first: date,
    last: date,
    *,
    envs: Sequence[str] = (),
    model: str = "",
    project: str = "",
    key: str = "",
    status: str = "",
    search: str = "",
    before: str = "",
    most: int = 50,
) -> list[RequestRow]:
    """The calls of the tenant's own days, newest first.

    `search` is an event's id or a request's id, ours or the provider's; `before` is the event id that a page ended with.
    """
    begin, end = bounds(first, last, zone_of(tenant_id))
    parameters: dict[str, Any] = {"begin": _ms(begin), "end": _ms(end), "most": most, "envs": tuple(envs)}
    parts = [
        _FROM,
        "ts >= fromUnixTimestamp64Milli(%(begin)s)",
        "ts < fromUnixTimestamp64Milli(%(end)s)",
    ]
    if envs:
        parts.append("env IN %(envs)s")
    chosen = {"model": model, "project": project, "key": key, "status": status}
    for name, value in chosen.items():
        if value:
            parts.append(_FILTERS[name])
            parameters[name] = value
    if search:
        parts.append("(request_id = %(search)s OR upstream_request_id = %(search)s OR event_id = %(search_id)s)")
        parameters |= {"search": search, "search_id": _uuid_or_nil(search)}
    last_shown = request_by_id(tenant_id, before) if before else None
    if last_shown is not None:
        parts.append("(ts, event_id) < (fromUnixTimestamp64Milli(%(before_ts)s), toUUID(%(before)s))")
        parameters |= {"before_ts": _ms(last_shown.ts), "before": str(last_shown.event_id)}
    sql = " AND ".join(parts) + " ORDER BY ts DESC, event_id DESC LIMIT %(most)s"
    return [RequestRow(*row) for row in ask(sql, parameters, tenant_id=tenant_id, purpose="requests")]


def models_used(tenant_id: str) -> list[str]:
    """The models that a tenant called in the last 90 days, in order."""
    sql = (
        "SELECT DISTINCT model FROM usage_daily FINAL WHERE tenant_id = %(tenant_id)s AND day >= %(since)s"
        " AND requests > 0 AND model != '' ORDER BY model"
    )
    since = (timezone.now() - timedelta(days=90)).date()
    return [row[0] for row in ask(sql, {"since": since}, tenant_id=tenant_id, purpose="models used")]


def _uuid_or_nil(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return str(uuid.UUID(int=0))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000
