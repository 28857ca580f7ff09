"""A tenant's calls, one by one."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.utils import timezone

from spend.clickhouse.client import ask
from spend.closing.ids import is_derived
from spend.queries.adjustments import hours_booked_on
from spend.queries.filters import NEWEST_FIRST, Conditions, uuid_or_none
from spend.queries.rollup import counted_days
from spend.queries.slices import Slice, single_events
from spend.zones import calendar_of, ms_of
from wire.ids import event_id_ms

MODELS_DAYS = 90
_ID_SLACK_MS = 300_000  # an event's ts is the arrival that its id was made of; an import may differ a little
_MODEL = "(if(model_priced = '', model_asked, model_priced) = %(model)s OR model_asked = %(model)s)"


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
    cached_tokens: int
    price_version: int
    override_version: int
    cost: Decimal | None
    charge: Decimal | None
    usage_source: str
    kind: str
    calls: int
    adjusts: str
    source: str
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
_SELECT = f"SELECT {_COLUMNS} FROM usage_events FINAL"  # noqa: S608 - our own columns


def request_by_id(tenant_id: str, event_id: str, *, keys: Collection[str] | None = None) -> RequestRow | None:
    """The call with an event id, at its highest rev; None when the tenant has none, or it is no event's id.

    `keys`: those whose calls may be seen; None means all.
    """
    if is_derived(event_id):
        hours = hours_booked_on(tenant_id)
        where = Conditions().add("toStartOfHour(ts) IN %(hours)s", hours=hours) if hours else Conditions().add("1 = 0")
    else:
        try:
            at = event_id_ms(event_id)
        except ValueError:
            return None
        where = Conditions().arrived(at - _ID_SLACK_MS, at + _ID_SLACK_MS)
    where.keys(keys).add("event_id = %(event_id)s", event_id=uuid_or_none(event_id))
    rows = ask(f"{_SELECT} WHERE {where}", where.parameters, tenant_id=tenant_id, purpose="request by id")
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
    keys: Collection[str] | None = None,
    zone: str = "",
    only: Mapping[str, Sequence[str]] | None = None,
    without: Mapping[str, Sequence[str]] | None = None,
    before: str = "",
    most: int = 50,
) -> list[RequestRow]:
    """The calls of the tenant's own days, or of a zone's, newest first.

    `model` is one as on the chart, or as it was asked for; `search` an event's id or a request's, ours or the
    provider's; `keys` are those whose calls may be seen (None: all); `only` and `without` are values by dimension, as
    of a `Slice`; `before` is the event id that the page before ended with (an unknown one leaves the first page).
    """
    where = single_events(tenant_id, Slice(first, last, zone, only or {}, without or {}, keys)).envs(envs)
    where.equal(project_id=project, key_id=key, status=status)
    where.add("(calls > 0 OR kind != 'call')")  # imported usage that was withdrawn, or passed the gateway, is not there
    if model:
        where.add(_MODEL, model=model)
    if event_id := uuid_or_none(search):
        where.add(
            "(request_id = %(search)s OR upstream_request_id = %(search)s OR event_id = %(event_id)s)",
            search=search,
            event_id=event_id,
        )
    elif search:
        where.add("(request_id = %(search)s OR upstream_request_id = %(search)s)", search=search)
    if before and (ended := request_by_id(tenant_id, before, keys=keys)):
        where.before(ms_of(ended.ts), str(ended.event_id))
    sql = f"{_SELECT} WHERE {where} {NEWEST_FIRST} LIMIT %(most)s"
    rows = ask(sql, where.parameters | {"most": most}, tenant_id=tenant_id, purpose="requests")
    return [RequestRow(*row) for row in rows]


def models_used(tenant_id: str, *, keys: Collection[str] | None = None) -> list[str]:
    """The models that a tenant called in the last 90 days, in order. `keys`: those whose calls may be seen."""
    today = calendar_of(tenant_id).day_of(ms_of(timezone.now()))
    where = Conditions().days(today - timedelta(days=MODELS_DAYS), today + timedelta(days=1)).keys(keys)
    days = counted_days(str(where), where.whole_days)
    sql = f"SELECT DISTINCT model FROM {days} WHERE requests > 0 AND model != '' ORDER BY model"  # noqa: S608
    return [row[0] for row in ask(sql, where.parameters, tenant_id=tenant_id, purpose="models used")]
