"""From the queues into ClickHouse: delivered at least once, counted exactly once.

In this order: insert, mark the days as dirty, acknowledge, count them anew. A crash between any two delivers the same
messages again; events replace themselves by their id, and a day that is counted twice comes out the same.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import structlog

from spend.clickhouse.client import insert
from spend.closing.late import booked
from spend.rollup import mark
from spend.zones import Calendars
from wire.events import DenialEvent, UsageEvent, decode_denial, decode_usage
from wire.money import PICO_PER_USD, pico_from_usd_string
from wire.queues.base import Message, Queue
from wire.units import INPUT_TOKENS, input_tokens, output_tokens

logger = structlog.get_logger(__name__)

CACHED = frozenset(name for name in INPUT_TOKENS if name.endswith("cache_read"))
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_EARLIEST, _LATEST = 946_684_800_000, 4_102_444_800_000  # the years 2000 to 2099, Unix ms
_MOST_PICO = 10**26 * PICO_PER_USD  # of a Decimal(38, 12)
_MOST_UNITS = 2**53
_UNIT_NAMES_MOST = 200

Event = TypeVar("Event", UsageEvent, DenialEvent)


class Batch(NamedTuple, Generic[Event]):
    """Messages of one queue in a consumer's hands, and what they say."""

    messages: list[Message]
    events: list[Event]
    buried: int

    @property
    def since_ms(self) -> int:
        """When the oldest of them was sent, Unix ms."""
        return min(message.sent_ms for message in self.messages)

    def halves(self) -> list[Batch[Event]]:
        """The batch in two, for one that was refused."""
        half = len(self.messages) // 2
        return [
            Batch(self.messages[half:], self.events[half:], 0),
            Batch(self.messages[:half], self.events[:half], 0),
        ]


def claim_usage(queue: Queue, env: str) -> Batch[UsageEvent]:
    """Take a batch of usage events. What cannot be understood is put aside as dead, with the reason."""
    return _claim(queue, env, decode_usage, _check_usage)


def claim_denials(queue: Queue, env: str) -> Batch[DenialEvent]:
    """Take a batch of denial events. What cannot be understood is put aside as dead, with the reason."""
    return _claim(queue, env, decode_denial, _check_event)


def store_usage(
    events: Sequence[UsageEvent], *, since_ms: int | None = None, calendars: Calendars | None = None
) -> None:
    """Insert usage events and mark their days. Harmless to repeat. Raises ClickHouseError."""
    with booked(events) as events:
        insert_usage(events, purpose="ingest usage")
        mark(events, since_ms=since_ms or time.time_ns() // 1_000_000, calendars=calendars)


def insert_usage(events: Sequence[UsageEvent], *, purpose: str) -> None:
    """Insert usage events; their days must be marked afterwards. Harmless to repeat. Raises ClickHouseError."""
    insert("usage_events", _usage_columns(events), purpose=purpose)


def store_denials(events: Sequence[DenialEvent]) -> None:
    """Insert denial events. Harmless to repeat. Raises ClickHouseError."""
    insert("denial_events", _denial_columns(events), purpose="ingest denials")


def _claim(
    queue: Queue, env: str, decode: Callable[[bytes], Event], check: Callable[[Event, str], None]
) -> Batch[Event]:
    batch: Batch[Event] = Batch([], [], 0)
    for message in queue.claim():
        try:
            event = decode(message.body)
            check(event, env)
        except (msgspec.DecodeError, ValueError) as error:
            logger.error("message put aside: it cannot be understood", message=message.id, env=env, why=str(error))
            queue.bury([message], f"cannot be understood: {error}")
            batch = batch._replace(buried=batch.buried + 1)
        else:
            batch.messages.append(message)
            batch.events.append(event)
    return batch


def _check_event(event: UsageEvent | DenialEvent, env: str) -> None:
    """What the types do not say and ClickHouse cannot hold: it would keep the whole batch back for ever."""
    if not _UUID.fullmatch(event.event_id):
        raise ValueError(f"event_id {event.event_id[:60]!r} is not a UUID")
    if not _EARLIEST <= event.ts < _LATEST:
        raise ValueError(f"ts {event.ts} is not a moment in Unix milliseconds")
    if event.env != env:
        raise ValueError(f"it says that it is of {event.env[:60]!r}, and came through the queue of {env!r}")
    _in_range("http_status", event.http_status, 2**16)


def _check_usage(event: UsageEvent, env: str) -> None:
    _check_event(event, env)
    if not event.tenant or len(event.tenant) > 64:
        raise ValueError("it names no tenant")
    for name in ("rev", "price_version", "override_version", "ttfb_ms", "duration_ms"):
        _in_range(name, getattr(event, name), 2**32)
    if len(event.units) > _UNIT_NAMES_MOST:
        raise ValueError(f"it counts {len(event.units)} kinds of units")
    for unit, count in event.units.items():
        _in_range(f"the count of {unit[:60]}", count, _MOST_UNITS)
    for amount in (event.cost, event.charge):
        if amount is not None and abs(pico_from_usd_string(amount)) >= _MOST_PICO:
            raise ValueError(f"{amount} is more USD than there are")


def _in_range(name: str, value: int, end: int) -> None:
    if not 0 <= value < end:
        raise ValueError(f"{name} is {value}")


# fields whose column has their name and takes them as they are; the others are in `_usage_columns`, `_denial_columns`
_OTHERWISE = {"tenant", "project", "key", "usage_source", "status", "reason"}
_USAGE_AS_THEY_ARE = [name for name in UsageEvent.__struct_fields__ if name not in _OTHERWISE]
_DENIAL_AS_THEY_ARE = [name for name in DenialEvent.__struct_fields__ if name not in _OTHERWISE]


def _usage_columns(events: Sequence[UsageEvent]) -> dict[str, list[Any]]:
    """Column by column, which the driver encodes several times faster than rows."""
    columns: dict[str, list[Any]] = {name: [getattr(event, name) for event in events] for name in _USAGE_AS_THEY_ARE}
    return columns | {
        "tenant_id": [event.tenant for event in events],
        "project_id": [event.project for event in events],
        "key_id": [event.key for event in events],
        "input_tokens": [input_tokens(event.units) for event in events],
        "output_tokens": [output_tokens(event.units) for event in events],
        "cached_tokens": [sum(count for unit, count in event.units.items() if unit in CACHED) for event in events],
        "usage_source": [event.usage_source.value for event in events],
        "status": [event.status.value for event in events],
    }


def _denial_columns(events: Sequence[DenialEvent]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [getattr(event, name) for event in events] for name in _DENIAL_AS_THEY_ARE}
    return columns | {
        "tenant_id": [event.tenant for event in events],
        "project_id": [event.project for event in events],
        "key_id": [event.key for event in events],
        "reason": [event.reason.value for event in events],
    }
