"""Calls and refused calls, one row each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from spend.exports.columns import Column, Row, Type
from spend.exports.contents.naming import Naming
from spend.exports.wanted import Wanted
from spend.queries.denials import DenialRow
from spend.queries.requests import RequestRow
from spend.queries.streams import DenialStream, Sums, UsageStream
from tenants.models import Tenant

_WHOLE = {"rev", "calls", "price_version", "override_version", "input_tokens", "output_tokens", "cached_tokens",
          "http_status", "ttfb_ms", "duration_ms"}  # fmt: skip
_NOTES = {
    "day": "The day of its arrival, in the export's time zone.",
    "ts": "The arrival at the gateway.",
    "rev": "Above 1 when it was priced anew.",
    "units": "JSON: what was used, disjoint.",
    "tags": "JSON.",
    "revs": "JSON: the revisions of the documents that decided.",
    "cost": "By the provider's list prices; empty when unpriced.",
    "charge": "What is charged, with overrides; empty when unpriced.",
    "kind": "call, or adjustment: money without a call.",
    "calls": "How many calls it stands for: a bucket of an import may stand for many.",
    "adjusts": "The event that it corrects, since whose month was sealed.",
    "source": "Where it was imported from; empty for calls through the gateway.",
}


def _columns(fields: Sequence[str]) -> tuple[Column, ...]:
    """An event's fields as columns: the day first, ids of projects and keys beside their names."""
    found = [Column("day", Type.DAY, _NOTES["day"])]
    for name in fields:
        note = _NOTES.get(name, "")
        if name in ("project", "key"):
            found += [Column(f"{name}_id"), Column(f"{name}_name")]
        elif name == "ts":
            found.append(Column("at", Type.MOMENT, note))
        elif name in ("cost", "charge"):
            found.append(Column(f"{name}_usd", Type.EXACT, note, summed=True))
        elif name in ("streamed", "cached"):
            found.append(Column(name, Type.YES_NO, note))
        else:
            found.append(Column(name, Type.WHOLE if name in _WHOLE else Type.TEXT, note))
    return tuple(found)


class _Rows:
    columns: Sequence[Column]
    _stream: UsageStream | DenialStream

    def __init__(self, tenant: Tenant) -> None:
        self._naming = Naming(tenant.id)

    def total(self) -> int | None:
        return self._stream.sums().rows

    def blocks(self) -> Iterator[tuple[date, Sequence[Row]]]:
        for day, events in self._stream.blocks():
            self._naming.learn("key", (event.key for event in events))
            yield day, [self._row(day, event) for event in events]

    def _row(self, day: date, event: RequestRow | DenialRow) -> Row:
        row: list[Any] = [day]
        for name, value in event._asdict().items():
            if name in ("project", "key"):
                row += [value, self._naming.name(name, value)]
            elif isinstance(value, dict):
                row.append(json.dumps(value, ensure_ascii=False, sort_keys=True))
            else:
                row.append(str(value) if name == "event_id" else value)
        return row


class UsageRows(_Rows):
    """One row a usage event, in the order of time."""

    columns: Sequence[Column] = _columns(RequestRow._fields)

    def __init__(self, tenant: Tenant, wanted: Wanted) -> None:
        super().__init__(tenant)
        self._stream = UsageStream(tenant.id, wanted.slice, **wanted.exactly)

    def amiss(self, rows: int, sums: dict[str, Any]) -> str:
        now = self._stream.sums()
        return _differs(Sums(rows, sums["cost_usd"], sums["charge_usd"], now.unpriced), now)


class DenialRows(_Rows):
    """One row a refused call, in the order of time."""

    columns: Sequence[Column] = _columns(DenialRow._fields)

    def __init__(self, tenant: Tenant, wanted: Wanted) -> None:
        super().__init__(tenant)
        self._stream = DenialStream(tenant.id, wanted.slice, **wanted.exactly)

    def amiss(self, rows: int, sums: dict[str, Any]) -> str:
        now = self._stream.sums()
        return _differs(now._replace(rows=rows), now)


def _differs(written: Sums, now: Sums) -> str:
    if written == now:
        return ""
    return (
        f"The file holds {written.rows:,} events of {written.charge} USD, and there are {now.rows:,} of "
        f"{now.charge} USD."
    )
