"""The audit trail as a file: CSV or JSON Lines, a batch of events in memory at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from changes.models import AuditEvent
from changes.queries import Narrowed, find_events
from changes.trail import Naming

BATCH = 500
_COLUMNS = (
    "id",
    "at",
    "kind",
    "sentence",
    "tenant",
    "actor_kind",
    "actor",
    "actor_name",
    "actor_role",
    "target_kind",
    "target",
    "target_name",
    "before",
    "after",
    "request_id",
    "address",
    "previous",
    "digest",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # spreadsheets would run a cell that begins with one of these

Scope = Callable[[], AbstractContextManager[None]]


def as_csv(wanted: Narrowed, scope: Scope) -> Iterator[str]:
    """The events with a line of headings."""
    line = csv.writer(_Echo())
    yield line.writerow(_COLUMNS)
    for row in _rows(wanted, scope):
        yield line.writerow([_cell(row[name]) for name in _COLUMNS])


def as_json_lines(wanted: Narrowed, scope: Scope) -> Iterator[str]:
    """One JSON object a line."""
    for row in _rows(wanted, scope):
        yield json.dumps(row, ensure_ascii=False) + "\n"


FORMATS: dict[str, tuple[str, Callable[[Narrowed, Scope], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", as_csv),
    "jsonl": ("application/jsonl; charset=utf-8", as_json_lines),
}


class _Echo:
    """A file for csv.writer that hands each line back."""

    def write(self, text: str) -> str:
        return text


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _rows(wanted: Narrowed, scope: Scope) -> Iterator[dict[str, Any]]:
    before: int | None = None
    while True:
        with scope():
            events = find_events(wanted, before=before, most=BATCH)
            naming = Naming(events)
        yield from (_row(event, naming) for event in events)
        if len(events) < BATCH:
            return
        before = events[-1].id


def _row(event: AuditEvent, naming: Naming) -> dict[str, Any]:
    return {
        "id": event.id,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "sentence": "".join(part.text for part in naming.sentence(event)),
        "tenant": event.tenant_id,
        "actor_kind": event.actor_kind,
        "actor": event.actor_id,
        "actor_name": naming.actor(event),
        "actor_role": event.actor_role,
        "target_kind": event.target_kind,
        "target": event.target_id,
        "target_name": naming.target(event),
        "before": event.before,
        "after": event.after,
        "request_id": event.request_id,
        "address": event.address,
        "previous": event.previous,
        "digest": event.digest,
    }
