"""The events of a re-rating: where they are, how many, and themselves, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from spend.clickhouse.client import ask
from spend.closing.ids import arrived_ms
from spend.queries.filters import Conditions
from spend.rerating.scope import Cursor, Scope, Window
from wire.events import Status, UsageEvent, UsageSource
from wire.money import pico_from_usd_string

HOUR = 3_600_000
_HOURS_AT_ONCE = 5_000
_IN_HOUR = "toUnixTimestamp(toStartOfHour(ts)) * 1000"


class Rated(NamedTuple):
    """What one event costs. Amounts in pico-USD; None when it has no price."""

    cost: int | None
    charge: int | None
    model_priced: str


class PastEvent(NamedTuple):
    """A usage event as it stands, with the names of `wire.events.UsageEvent`. Money as texts of USD."""

    event_id: str
    rev: int
    ts: int
    env: str
    tenant: str
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
    price_version: int
    override_version: int
    cost: str | None
    charge: str | None
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

    @property
    def rated(self) -> Rated:
        """What it costs as it stands."""
        return Rated(_pico(self.cost), _pico(self.charge), self.model_priced)

    @property
    def arrived_ms(self) -> int:
        """When the call arrived, by which it is priced, Unix ms."""
        return arrived_ms(self.event_id, self.ts)

    @property
    def id_bytes(self) -> bytes:
        """The event id in 16 bytes."""
        return bytes.fromhex(self.event_id.replace("-", ""))

    def again(self, **changed: Any) -> UsageEvent:
        """The event to be written again, with a higher rev and what changed."""
        known = self._asdict() | {"usage_source": UsageSource(self.usage_source), "status": Status(self.status)}
        return UsageEvent(**(known | changed | {"rev": self.rev + 1}))


_AS = {
    "event_id": "toString(event_id)",
    "ts": "toUnixTimestamp64Milli(ts)",
    "tenant": "tenant_id",
    "project": "project_id",
    "key": "key_id",
    "cost": "toString(cost)",
    "charge": "toString(charge)",
}
_COLUMNS = ", ".join(_AS.get(name, name) for name in PastEvent._fields)
_EVENTS = f"SELECT {_COLUMNS} FROM usage_events FINAL"  # noqa: S608 - our own columns


def count_events(scope: Scope) -> int:
    """How many calls are in a scope, about: one that was written several times counts so often until it is merged."""
    where, parameters = _calls(scope)
    sql = f"SELECT count() FROM usage_events WHERE {where}"  # noqa: S608
    return int(ask(sql, parameters, across_tenants=True, purpose="re-rating: count")[0][0])


def windows_from(scope: Scope, cursor: Cursor, *, most: int) -> Iterator[Window]:
    """The windows in which there may be something to do, from the cursor on, each of about `most` events.

    Ends early when there are many: ask again from where the last one ended.
    """
    where, parameters = _calls(scope)
    sql = (
        f"SELECT tenant_id, {_IN_HOUR} AS hour, count() FROM usage_events"  # noqa: S608
        f" WHERE {where} AND (tenant_id > %(at_tenant)s"
        " OR (tenant_id = %(at_tenant)s AND ts >= fromUnixTimestamp64Milli(%(at_hour)s)))"
        " GROUP BY tenant_id, hour ORDER BY tenant_id, hour LIMIT %(hours)s"
    )
    parameters |= {"at_tenant": cursor.tenant, "at_hour": cursor.hour, "hours": _HOURS_AT_ONCE}
    held, count = None, 0
    for tenant, hour, events in ask(sql, parameters, across_tenants=True, purpose="re-rating: hours"):
        if held is not None and held.tenant == tenant and count + events <= most:
            held, count = held._replace(end=hour + HOUR), count + events
            continue
        if held is not None:
            yield held
        held, count = Window(tenant, hour, hour + HOUR), events
    if held is not None:
        yield held


def events_in(
    scope: Scope, window: Window, after: Cursor, *, until: Cursor | None = None, most: int
) -> list[PastEvent]:
    """A tenant's calls of a window in their order, after a cursor and not beyond another."""
    begin, end = max(scope.begin, window.begin), min(scope.end, window.end)
    condition, parameters = _calls(scope._replace(begin=begin, end=end))
    where = Conditions().add(condition, **parameters)
    for cursor, sign in ((after, ">"), (until, "<=")):
        if cursor is not None and cursor.event_id:
            name = "after" if sign == ">" else "until"
            where.add(
                f"(toStartOfHour(ts), key_id, event_id) {sign}"
                f" (toDateTime(%({name}_hour)s, 'UTC'), %({name}_key)s, toUUID(%({name}_event)s))",
                **{f"{name}_hour": cursor.hour // 1000, f"{name}_key": cursor.key, f"{name}_event": cursor.event_id},
            )
    sql = f"{_EVENTS} WHERE {where} ORDER BY toStartOfHour(ts), key_id, event_id LIMIT %(most)s"
    rows = ask(sql, where.parameters | {"most": most}, tenant_id=window.tenant, purpose="re-rating: events")
    return [PastEvent(*row) for row in rows]


def _calls(scope: Scope) -> tuple[str, dict[str, Any]]:
    """The condition of a scope, and what it refers to.

    Adjustments are nobody's price and never in it; imported usage is priced by its import alone (`spend.importing`).
    """
    parts = [
        "kind = 'call' AND source = ''",
        "ts >= fromUnixTimestamp64Milli(%(begin)s) AND ts < fromUnixTimestamp64Milli(%(end)s)",
    ]
    if scope.tenant_id:
        parts.append("tenant_id = %(only_tenant)s")
    if scope.provider:
        parts.append("provider = %(provider)s")
    if scope.model:
        parts.append("(model_asked = %(model)s OR model_priced = %(model)s)")
    if scope.unpriced_only:
        parts.append("isNull(charge)")
    named = {"begin": scope.begin, "end": scope.end, "only_tenant": scope.tenant_id}
    return " AND ".join(parts), named | {"provider": scope.provider, "model": scope.model}


def _pico(amount: str | None) -> int | None:
    return None if amount is None else pico_from_usd_string(amount)
