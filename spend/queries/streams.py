"""All events of a slice, one by one in the order of time, a block in memory at a time: for files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from spend.clickhouse.client import ask
from spend.periods import each_day
from spend.queries.denials import DenialRow
from spend.queries.filters import Conditions, uuid_or_none
from spend.queries.requests import RequestRow
from spend.queries.slices import Slice, single_events
from spend.zones import Calendar, calendar, calendar_of, ms_of

BLOCK = 10_000
_HOUR_MS = 3_600_000
_NO_MONEY = "toDecimal128(0, 12)"
_USAGE, _DENIALS = "usage_events", "denial_events"

Event = TypeVar("Event", RequestRow, DenialRow)


class Sums(NamedTuple):
    """What events come to. Money in USD, exact; of denials there is none."""

    rows: int
    cost: Decimal
    charge: Decimal
    unpriced: int


class UsageStream:
    """The usage events of a slice. `called` is a model, as priced or as asked; `search` an event's or request's id."""

    def __init__(self, tenant_id: str, of: Slice, *, called: str = "", search: str = "") -> None:
        self._tenant_id, self._of, self._called, self._search = tenant_id, of, called, search

    def sums(self) -> Sums:
        where = self._where(self._of)
        sql = (
            f"SELECT count(), sum(ifNull(cost, {_NO_MONEY})), sum(ifNull(charge, {_NO_MONEY})),"  # noqa: S608
            f" sumIf(calls, isNull(charge) AND kind = 'call') FROM {_USAGE} FINAL WHERE {where}"
        )
        return Sums(*ask(sql, where.parameters, tenant_id=self._tenant_id, purpose="export: sums of events")[0])

    def blocks(self) -> Iterator[tuple[date, list[RequestRow]]]:
        return _blocks(self._tenant_id, self._of, self._where, _USAGE, RequestRow)

    def _where(self, of: Slice) -> Conditions:
        where = single_events(self._tenant_id, of)
        where.add("(calls > 0 OR kind != 'call')")  # imported usage that was withdrawn is not there
        if self._called:
            model = "(if(model_priced = '', model_asked, model_priced) = %(called)s OR model_asked = %(called)s)"
            where.add(model, called=self._called)
        if self._search:
            ids = ["request_id = %(search)s", "upstream_request_id = %(search)s"]
            if event_id := uuid_or_none(self._search):
                ids.append("event_id = %(event_id)s")
                where.parameters["event_id"] = event_id
            where.add(f"({' OR '.join(ids)})", search=self._search)
        return where


class DenialStream:
    """The refused calls of a slice, which is narrowed by `env`, `project` and `key` at most."""

    def __init__(self, tenant_id: str, of: Slice, *, reason: str = "") -> None:
        self._tenant_id, self._of, self._reason = tenant_id, of, reason

    def sums(self) -> Sums:
        where = self._where(self._of)
        sql = f"SELECT count() FROM {_DENIALS} FINAL WHERE {where}"  # noqa: S608
        found = ask(sql, where.parameters, tenant_id=self._tenant_id, purpose="export: count of denials")[0][0]
        return Sums(found, Decimal(0), Decimal(0), 0)

    def blocks(self) -> Iterator[tuple[date, list[DenialRow]]]:
        return _blocks(self._tenant_id, self._of, self._where, _DENIALS, DenialRow)

    def _where(self, of: Slice) -> Conditions:
        where = Conditions().keys(of.keys).arrived(*_calendar(self._tenant_id, of).bounds(of.first, of.last))
        values = {name: wanted[0] for name, wanted in of.only.items()}
        return where.equal(
            env=values.get("env", ""),
            project_id=values.get("project", ""),
            key_id=values.get("key", ""),
            reason=self._reason,
        )


def _calendar(tenant_id: str, of: Slice) -> Calendar:
    return calendar(of.zone) if of.zone else calendar_of(tenant_id)


def _blocks(
    tenant_id: str, of: Slice, where_of: Callable[[Slice], Conditions], table: str, made: Callable[..., Event]
) -> Iterator[tuple[date, list[Event]]]:
    """Days in their order, each in blocks; a day without events is one empty block.

    A question is about as many hours as make a block, and an hour that holds more is asked for piece by piece.
    """
    columns = ", ".join({"project": "project_id", "key": "key_id"}.get(name, name) for name in made._fields)  # type: ignore[attr-defined]
    for day in each_day(of.first, of.last):
        where = where_of(of.on(day, day))
        empty = True
        for begin, end in _windows(tenant_id, where, table):
            after: tuple[int, str] | None = None
            while True:
                found = [made(*row) for row in _piece(tenant_id, where, table, columns, begin, end, after)]
                if found:
                    empty = False
                    yield day, found
                if len(found) < BLOCK:
                    break
                after = ms_of(found[-1].ts), str(found[-1].event_id)
        if empty:
            yield day, []


def _windows(tenant_id: str, where: Conditions, table: str) -> Iterator[tuple[int, int]]:
    """Spans of hours (Unix ms) with a block of events at most, unless a single hour holds more."""
    sql = (
        "SELECT toUnixTimestamp(toStartOfHour(ts)) AS hour, count() AS events"  # noqa: S608
        f" FROM {table} FINAL WHERE {where} GROUP BY hour ORDER BY hour"
    )
    begin, end, held = 0, 0, 0
    for hour, events in ask(sql, where.parameters, tenant_id=tenant_id, purpose="export: hours"):
        if held and held + events > BLOCK:
            yield begin, end
            held = 0
        begin = begin if held else hour * 1000
        end, held = hour * 1000 + _HOUR_MS, held + events
    if held:
        yield begin, end


def _piece(
    tenant_id: str, where: Conditions, table: str, columns: str, begin: int, end: int, after: tuple[int, str] | None
) -> list[tuple[Any, ...]]:
    within = "ts >= fromUnixTimestamp64Milli(%(from_ms)s) AND ts < fromUnixTimestamp64Milli(%(to_ms)s)"
    told: dict[str, Any] = {"from_ms": begin, "to_ms": end, "most": BLOCK}
    if after is not None:
        within += " AND (ts, event_id) > (fromUnixTimestamp64Milli(%(after_ms)s), toUUID(%(after)s))"
        told |= {"after_ms": after[0], "after": after[1]}
    sql = (
        f"SELECT {columns} FROM {table} FINAL WHERE {where} AND {within}"  # noqa: S608
        " ORDER BY ts, event_id LIMIT %(most)s"
    )
    return ask(sql, where.parameters | told, tenant_id=tenant_id, purpose="export: events")
