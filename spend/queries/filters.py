"""Conditions that several questions share. Values travel as parameters, never inside the SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from spend.zones import calendar_of

_ARRIVED = "ts >= fromUnixTimestamp64Milli(%(begin)s) AND ts < fromUnixTimestamp64Milli(%(end)s)"
_DAYS = "day BETWEEN %(first)s AND %(last)s"


class Conditions:
    """Conditions joined by AND, with their parameters. The first is the tenant: without it nothing is asked."""

    def __init__(self) -> None:
        self._parts = ["tenant_id = %(tenant_id)s"]
        self._days = list(self._parts)
        self._arrival = list(self._parts)
        self.parameters: dict[str, Any] = {}

    def add(self, condition: str, **parameters: Any) -> Conditions:
        """One more condition, with what it refers to."""
        self._parts.append(condition)
        self.parameters |= parameters
        return self

    def equal(self, **columns: str) -> Conditions:
        """Columns that must have a value; "" leaves a column alone."""
        for column, value in columns.items():
            if value:
                self.add(f"{column} = %({column})s", **{column: value})
        return self

    def envs(self, envs: Sequence[str]) -> Conditions:
        """Environments to narrow to; none means all."""
        return self.add("env IN %(envs)s", envs=tuple(envs)) if envs else self

    def keys(self, keys: Collection[str] | None) -> Conditions:
        """The API keys that may be seen; None means all of them, an empty collection none."""
        if keys is None:
            return self
        return self.add("key_id IN %(keys)s", keys=tuple(sorted(keys))) if keys else self.add("1 = 0")

    def days(self, first: date, last: date) -> Conditions:
        """Days of the rollup, both ends included."""
        self._days.append(_DAYS)
        return self.add(_DAYS, first=first, last=last)

    @property
    def whole_days(self) -> str:
        """The conditions of the tenant and of days of the rollup alone."""
        return " AND ".join(self._days)

    def arrived_on(self, tenant_id: str, first: date, last: date) -> Conditions:
        """The tenant's own days as moments, for single events."""
        return self.arrived(*calendar_of(tenant_id).bounds(first, last))

    def arrived(self, begin: int, end: int) -> Conditions:
        """Arrivals from `begin` on and before `end`, Unix ms."""
        self._arrival.append(_ARRIVED)
        return self.add(_ARRIVED, begin=begin, end=end)

    @property
    def of_arrivals(self) -> str:
        """All conditions, for `usage_events FINAL`. Those that no rev of an event changes choose its rows before its
        revs are told apart, which spares about a third of the time.
        """
        return f"PREWHERE {' AND '.join(self._arrival)} WHERE {self}"

    def before(self, ts_ms: int, event_id: str) -> Conditions:
        """Events older than one, in the order of `NEWEST_FIRST`: where the next page begins."""
        return self.add(
            "(ts, event_id) < (fromUnixTimestamp64Milli(%(before_ms)s), toUUID(%(before)s))",
            before_ms=ts_ms,
            before=event_id,
        )

    def __str__(self) -> str:
        return " AND ".join(self._parts)


NEWEST_FIRST = "ORDER BY ts DESC, event_id DESC"


def uuid_or_none(text: str) -> str | None:
    """A UUID as ClickHouse writes it; None for any other text."""
    try:
        return str(UUID(text))
    except ValueError:
        return None
