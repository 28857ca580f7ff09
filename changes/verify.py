"""Is the audit trail whole? Reads it once from the beginning, a batch at a time, beside the heads kept outside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from django.conf import settings

from changes.chain import BEGINNING, digest_of
from changes.heads import Head, HeadsError, read_heads
from changes.models import AuditEvent

BATCH = 2000


class Verdict(NamedTuple):
    """`bad` is the id at which the trail is not what it was, None when it holds (or the fault is in the heads)."""

    whole: bool
    events: int
    heads: int
    bad: int | None
    why: str


def verify_trail() -> Verdict:
    """Find the first place where the trail was changed, has a gap, or was cut off."""
    try:
        heads = {head.seq: head for head in read_heads(settings.AUDIT_HEADS)}  # one an hour: a few thousand a year
    except HeadsError as error:
        return Verdict(whole=False, events=0, heads=0, bad=None, why=str(error))
    number, digest = 0, BEGINNING
    for event in _events():
        why = _fault(event, number, digest) or _against(heads.get(event.id), event)
        if why:
            bad = number + 1 if event.id > number + 1 else event.id
            return Verdict(whole=False, events=number, heads=len(heads), bad=bad, why=why)
        number, digest = event.id, event.digest
    newest = max(heads, default=0)
    if newest > number:
        head = heads[newest]
        why = f"The newest events are gone: on {head.at:%Y-%m-%d %H:%M} UTC there were {head.count:,}."
        return Verdict(whole=False, events=number, heads=len(heads), bad=number + 1, why=why)
    return Verdict(whole=True, events=number, heads=len(heads), bad=None, why="")


def _fault(event: AuditEvent, number: int, digest: str) -> str:
    if event.id != number + 1:
        missing = event.id - number - 1
        return f"{missing:,} {'event is' if missing == 1 else 'events are'} missing before event {event.id}."
    if event.previous != digest:
        return f"Event {event.id} does not follow event {number}: one of them was put in the other's place."
    if event.digest != digest_of(event):
        return f"Event {event.id} is not what was written: it was changed, or the audit key is another one."
    return ""


def _against(head: Head | None, event: AuditEvent) -> str:
    if head is None or head.digest == event.digest:
        return ""
    return f"Event {event.id} is not the one that stood there on {head.at:%Y-%m-%d %H:%M} UTC: the trail was rewritten."


def _events() -> Iterator[AuditEvent]:
    """All events in the order of their ids, BATCH in memory at a time."""
    last: int | None = None
    while True:
        found = AuditEvent.objects.order_by("id")
        batch = list((found if last is None else found.filter(id__gt=last))[:BATCH])
        yield from batch
        if len(batch) < BATCH:
            return
        last = batch[-1].id
