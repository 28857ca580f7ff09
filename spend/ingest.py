"""From the queues into ClickHouse: delivered at least once, counted exactly once.

In this order: insert, mark the days as dirty, acknowledge, count them anew. A crash between any two delivers the same
messages again; events replace themselves by their id, and a day that is counted twice comes out the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import structlog

from spend.clickhouse.client import insert
from spend.rollup import mark
from wire.events import DenialEvent, UsageEvent, decode_denial, decode_usage
from wire.queues.base import Message, Queue
from wire.units import input_tokens, output_tokens

logger = structlog.get_logger(__name__)

CACHED = ("cache_read", "audio_cache_read", "image_cache_read")


class Taken(NamedTuple):
    """What one round of a consumer did."""

    stored: int
    buried: int


def take_usage(queue: Queue) -> Taken:
    """Take one batch of usage events from a queue into ClickHouse. Raises ClickHouseError; messages then come again."""
    return _take(queue, decode_usage, store_usage)


def take_denials(queue: Queue) -> Taken:
    """Take one batch of denial events from a queue into ClickHouse. Raises ClickHouseError; messages then come again."""
    return _take(queue, decode_denial, store_denials)


def store_usage(events: Sequence[UsageEvent]) -> None:
    """Insert usage events and mark their days. Harmless to repeat."""
    insert("usage_events", _usage_columns(events), purpose="ingest usage")
    mark(events)


def store_denials(events: Sequence[DenialEvent]) -> None:
    """Insert denial events. Harmless to repeat."""
    insert("denial_events", _denial_columns(events), purpose="ingest denials")


def _take(queue: Queue, decode: Callable[[bytes], Any], store: Callable[[Sequence[Any]], None]) -> Taken:
    messages = queue.claim()
    events, understood, buried = [], [], 0
    for message in messages:
        try:
            event = decode(message.body)
            _check(event)
        except (msgspec.DecodeError, ValueError) as error:
            _bury(queue, message, error)
            buried += 1
        else:
            events.append(event)
            understood.append(message)
    if events:
        try:
            store(events)
        except BaseException:
            queue.release(understood)  # sooner than by the visibility time-out
            raise
        queue.acknowledge(understood)
    return Taken(len(events), buried)


def _check(event: UsageEvent | DenialEvent) -> None:
    """What the types do not say and ClickHouse would refuse, which would hold up the whole batch for ever."""
    uuid.UUID(event.event_id)
    if not 0 <= event.ts < 2**42:
        raise ValueError(f"ts {event.ts} is not a moment in Unix milliseconds")
    if isinstance(event, UsageEvent):
        for amount in (event.cost, event.charge):
            if amount is not None and not abs(Decimal(amount)) < Decimal(10) ** 26:
                raise ValueError(f"{amount} is not an amount of USD")
        if any(not 0 <= count < 2**63 for count in event.units.values()):
            raise ValueError("a count of units is out of range")


def _bury(queue: Queue, message: Message, error: Exception) -> None:
    logger.error("message buried: it cannot be understood", queue_message=message.id, error=str(error))
    queue.bury([message], f"cannot be understood: {error}")


def _usage_columns(events: Sequence[UsageEvent]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "event_id": [uuid.UUID(event.event_id) for event in events],
        "tenant_id": [event.tenant for event in events],
        "project_id": [event.project for event in events],
        "key_id": [event.key for event in events],
        "input_tokens": [input_tokens(event.units) for event in events],
        "output_tokens": [output_tokens(event.units) for event in events],
        "cached_tokens": [sum(event.units.get(unit, 0) for unit in CACHED) for event in events],
        "cost": [None if event.cost is None else Decimal(event.cost) for event in events],
        "charge": [None if event.charge is None else Decimal(event.charge) for event in events],
        "usage_source": [event.usage_source.value for event in events],
        "status": [event.status.value for event in events],
    }
    for name in _PLAIN_USAGE:
        columns[name] = [getattr(event, name) for event in events]
    return columns


_PLAIN_USAGE = (
    ("rev", "ts", "env", "end_user", "tags", "tier", "route", "provider", "model_asked", "model_priced", "units")
    + ("price_version", "override_version", "kind", "service_tier", "session", "credential", "upstream_request_id")
    + ("http_status", "ttfb_ms", "duration_ms", "streamed", "cached", "request_id")
)


def _denial_columns(events: Sequence[DenialEvent]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "event_id": [uuid.UUID(event.event_id) for event in events],
        "tenant_id": [event.tenant for event in events],
        "project_id": [event.project for event in events],
        "key_id": [event.key for event in events],
        "reason": [event.reason.value for event in events],
    }
    for name in ("ts", "env", "route", "model_asked", "revs", "http_status", "request_id"):
        columns[name] = [getattr(event, name) for event in events]
    return columns
