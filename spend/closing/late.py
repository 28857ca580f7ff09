"""Events that arrive after their month was sealed: booked on the first moment of the first month that is open."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from spend.clickhouse.client import ask
from spend.closing.booking import Books, booking
from spend.closing.ids import derived_id
from wire.events import UsageEvent

FRESH_MS = (
    30 * 60_000
)  # a month is sealed an hour after its end at the earliest: what is newer is never of a sealed one
_IDS_AT_ONCE = 2_000  # a statement is 256 KB at most


@contextmanager
def booked(events: Sequence[UsageEvent]) -> Iterator[Sequence[UsageEvent]]:
    """The events as they are to be stored inside this block: those of sealed months in the open one, or not again.

    Raises NotYetError, an UnavailableError: try again.
    """
    since = time.time_ns() // 1_000_000 - FRESH_MS
    if all(event.ts >= since for event in events):
        yield events
        return
    with booking() as books:
        found = _booked(events, books)
        books.hold()
        yield found


def _booked(events: Sequence[UsageEvent], books: Books) -> Sequence[UsageEvent]:
    late: dict[str, list[UsageEvent]] = defaultdict(list)
    for event in events:
        if event.ts < books.closed_until(event.tenant):  # its id as ClickHouse writes it: it is looked for there
            late[event.tenant].append(msgspec.structs.replace(event, event_id=event.event_id.lower()))
    if not late:
        return events
    books.wait_for_others()
    found = [event for event in events if event.ts >= books.closed_until(event.tenant)]
    for tenant, theirs in late.items():
        found += _moved(tenant, theirs, books.closed_until(tenant))
    return found


def _moved(tenant: str, events: Sequence[UsageEvent], closed_until: int) -> Iterator[UsageEvent]:
    """Those that are not in their month, in the open one. One that was moved before stays where it was moved to."""
    ids = {event.event_id: derived_id("late", event.ts, tenant, event.event_id) for event in events}
    stored = moments_of(tenant, [*ids, *ids.values()])
    for event in events:
        at = stored.get(ids[event.event_id], closed_until)
        if event.event_id not in stored and at >= closed_until:
            yield msgspec.structs.replace(event, event_id=ids[event.event_id], ts=at, adjusts=event.event_id)


def moments_of(tenant: str, event_ids: Iterable[str]) -> dict[str, int]:
    """When those of these events are booked that are stored, Unix ms."""
    ids = sorted(set(event_ids))
    found: dict[str, int] = {}
    for first in range(0, len(ids), _IDS_AT_ONCE):
        rows = ask(
            "SELECT toString(event_id), toUnixTimestamp64Milli(ts) FROM usage_events"
            " WHERE tenant_id = %(tenant_id)s AND event_id IN %(ids)s",
            {"ids": tuple(ids[first : first + _IDS_AT_ONCE])},
            tenant_id=tenant,
            purpose="find late events",
        )
        found |= dict(rows)
    return found
