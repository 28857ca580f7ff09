"""From the queues into ClickHouse: delivered at least once, counted exactly once.

In this order: insert, mark the days as dirty, acknowledge, count them anew. A crash between any two delivers the same
messages again; events replace themselves by their id, and a day that is counted twice comes out the same.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import structlog

from spend.clickhouse.client import insert
from spend.closing.late import booked
from spend.retention import countable_from
from spend.rollup import mark
from spend.zones import Calendars
from wire.events import DenialEvent, UsageEvent, decode_denial, decode_usage
from wire.money import PICO_PER_USD, pico_from_usd_string
from wire.queues.base import Message, Queue
from wire.units import INPUT_TOKENS, OUTPUT_TOKENS

logger = structlog.get_logger(__name__)

CACHED = frozenset(name for name in INPUT_TOKENS if name.endswith("cache_read"))
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_EARLIEST, _LATEST = 946_684_800_000, 4_102_444_800_000  # the years 2000 to 2099, Unix ms
_MOST_PICO = 10**26 * PICO_PER_USD  # of a Decimal(38, 12)
_MOST_UNITS = 2**53
_UNIT_NAMES_MOST = 200
_TENANT_LONGEST = 64
_FOUR_BYTES = ("rev", "calls", "price_version", "override_version", "ttfb_ms", "duration_ms")
# what most ids and amounts look like, many of them at once; one that looks otherwise is looked at by itself
_UUIDS = re.compile(r"(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\n)*", re.ASCII)
_AMOUNTS = re.compile(r"(?:-?[0-9]{1,26}\.[0-9]{12}\n)*", re.ASCII)

Event = TypeVar("Event", UsageEvent, DenialEvent)


class Batch(NamedTuple, Generic[Event]):
    """Messages of one queue in a consumer's hands, and what they say."""

    messages: list[Message]
    events: list[Event]
    buried: int
    more: bool = False  # as many as may be claimed at once: there are probably more

    @property
    def since_ms(self) -> int:
        """When the oldest of them was sent, Unix ms."""
        return min(message.sent_ms for message in self.messages)

    def joined(self, other: Batch[Event]) -> Batch[Event]:
        """This batch and one that was claimed after it."""
        return Batch(self.messages + other.messages, self.events + other.events, self.buried + other.buried, other.more)

    def halves(self) -> list[Batch[Event]]:
        """The batch in two, for one that was refused."""
        half = len(self.messages) // 2
        return [
            Batch(self.messages[half:], self.events[half:], 0),
            Batch(self.messages[:half], self.events[:half], 0),
        ]


def claim_usage(queue: Queue, env: str) -> Batch[UsageEvent]:
    """Take a batch of usage events. What cannot be understood is put aside as dead, with the reason."""
    return _claim(queue, env, decode_usage, _check_usage, _all_fine)


def claim_denials(queue: Queue, env: str) -> Batch[DenialEvent]:
    """Take a batch of denial events. What cannot be understood is put aside as dead, with the reason."""
    return _claim(queue, env, decode_denial, _check_event, _none_known_to_be_fine)


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
    queue: Queue,
    env: str,
    decode: Callable[[bytes], Event],
    check: Callable[[Event, str], None],
    all_fine: Callable[[Sequence[Event], str], bool],
) -> Batch[Event]:
    messages = queue.claim()
    more = len(messages) >= queue.limits.batch
    try:
        events = [decode(message.body) for message in messages]
    except (msgspec.DecodeError, ValueError):
        events = []
    if len(events) == len(messages) and all_fine(events, env):
        return Batch(messages, events, 0, more)
    return _one_by_one(queue, env, messages, decode, check)._replace(more=more)


def _one_by_one(
    queue: Queue,
    env: str,
    messages: Iterable[Message],
    decode: Callable[[bytes], Event],
    check: Callable[[Event, str], None],
) -> Batch[Event]:
    batch: Batch[Event] = Batch([], [], 0)
    for message in messages:
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
    if event.ts < countable_from():
        raise ValueError("it is older than single calls are kept: its day cannot be counted any more")
    if not event.tenant or len(event.tenant) > _TENANT_LONGEST:
        raise ValueError("it names no tenant")
    for name in _FOUR_BYTES:
        _in_range(name, getattr(event, name), 2**32)
    if len(event.units) > _UNIT_NAMES_MOST:
        raise ValueError(f"it counts {len(event.units)} kinds of units")
    for unit, count in event.units.items():
        _in_range(f"the count of {unit[:60]}", count, _MOST_UNITS)
    for amount in (event.cost, event.charge):
        if amount is not None and abs(pico_from_usd_string(amount)) >= _MOST_PICO:
            raise ValueError(f"{amount} is more USD than there are")


def _none_known_to_be_fine(events: Sequence[DenialEvent], env: str) -> bool:
    """Refused calls are few: each is looked at by itself."""
    return not events


def _all_fine(events: Sequence[UsageEvent], env: str) -> bool:
    """Whether all of many events are such that `_check_usage` has nothing to say, at a fraction of its time.

    False says nothing yet: of what is unusual, some is fine. It is never True when `_check_usage` would raise.
    """
    if not events:
        return True
    units = _column(events, "units")
    amounts = [amount for name in ("cost", "charge") for amount in _column(events, name) if amount is not None]
    return (
        _each_like(_UUIDS, _column(events, "event_id"))
        and _within(_column(events, "ts"), max(_EARLIEST, countable_from()), _LATEST)
        and set(_column(events, "env")) == {env}
        and _within(_column(events, "http_status"), 0, 2**16)
        and all(0 < len(tenant) <= _TENANT_LONGEST for tenant in set(_column(events, "tenant")))
        and all(_within(_column(events, name), 0, 2**32) for name in _FOUR_BYTES)
        and max(map(len, units)) <= _UNIT_NAMES_MOST
        and _within(list(chain.from_iterable(map(dict.values, units))), 0, _MOST_UNITS)
        and _each_like(_AMOUNTS, amounts)
    )


def _each_like(lines: re.Pattern[str], texts: Sequence[str]) -> bool:
    """Whether every text is one line of a pattern of many lines."""
    joined = "\n".join([*texts, ""])
    return lines.fullmatch(joined) is not None and joined.count("\n") == len(texts)


def _within(values: Sequence[int], least: int, end: int) -> bool:
    return not values or (min(values) >= least and max(values) < end)


def _in_range(name: str, value: int, end: int) -> None:
    if not 0 <= value < end:
        raise ValueError(f"{name} is {value}")


# fields whose column has another name, or is filled otherwise; all others have their column's name and go as they are
_OTHERWISE = {"tenant": "tenant_id", "project": "project_id", "key": "key_id"}
_WORDS = {"usage_source", "status", "reason"}
_FILLED_AT_ONCE = 500


def _column(events: Sequence[UsageEvent] | Sequence[DenialEvent], name: str) -> list[Any]:
    return list(map(attrgetter(name), events))


def _columns(events: Sequence[UsageEvent] | Sequence[DenialEvent], names: Sequence[str]) -> dict[str, list[Any]]:
    """Column by column, which the driver encodes several times faster than rows.

    A few events at a time, so that they are still in the processor's cache when the next column is filled.
    """
    columns: dict[str, list[Any]] = {_OTHERWISE.get(name, name): [] for name in names}
    fields = [attrgetter(f"{name}.value" if name in _WORDS else name) for name in names]
    for first in range(0, len(events), _FILLED_AT_ONCE):
        some = events[first : first + _FILLED_AT_ONCE]
        for field, column in zip(fields, columns.values(), strict=True):
            column.extend(map(field, some))
    return columns


def _usage_columns(events: Sequence[UsageEvent]) -> dict[str, list[Any]]:
    """The columns of an event's fields, and the tokens that went in, came out, and were read from a cache."""
    columns = _columns(events, UsageEvent.__struct_fields__)
    went_in, came_out, cached = [], [], []
    for units in columns["units"]:
        in_, out, read = 0, 0, 0
        for name, count in units.items():
            if name in INPUT_TOKENS:
                in_ += count
                if name in CACHED:
                    read += count
            elif name in OUTPUT_TOKENS:
                out += count
        went_in.append(in_)
        came_out.append(out)
        cached.append(read)
    return columns | {"input_tokens": went_in, "output_tokens": came_out, "cached_tokens": cached}


def _denial_columns(events: Sequence[DenialEvent]) -> dict[str, list[Any]]:
    return _columns(events, DenialEvent.__struct_fields__)
