"""When the local copy of what is known is written: what changed, some at a time, and now and then that nothing did."""

from __future__ import annotations

import math
from typing import NamedTuple

import structlog

from gateway.clock import Clock
from gateway.lastknown import LastKnown, Source
from wire.kv.base import Entry

log = structlog.get_logger(__name__)

KEEP_SECONDS = 1.0  # between two writes
KEEP_AT_ONCE = 2_000  # documents
STAMP_SECONDS = 10.0  # between two notes that nothing has changed


class Kept(NamedTuple):
    """What a copy held, and when the store was last in order by it, by the clock's `elapsed`."""

    entries: list[Entry]
    claimed: bool
    epoch: str
    contact_at: float


class Keeper:
    """Collects what changed until it is written. Used by the mirror's thread only."""

    def __init__(self, copy: LastKnown, clock: Clock) -> None:
        self._copy = copy
        self._clock = clock
        self._unsaved: dict[str, Entry | None] = {}
        self._saved_at = -math.inf
        self._stamped_at = -math.inf  # the contact that the copy tells of

    def read(self) -> Kept | None:
        """What was kept; None when there is nothing that may be used. One from the future counts as too old."""
        copy = self._copy.read()
        if copy is None:
            return None
        age = self._clock.since(copy.source.contact)
        if age is None:
            log.warning("The local copy of policy is from this clock's future: it counts as too old")
        contact_at = self._clock.elapsed() - (math.inf if age is None else age)
        return Kept(copy.entries, copy.source.claimed, copy.source.epoch, contact_at)

    def note(self, key: str, entry: Entry | None) -> None:
        """A document changed, was deleted, or (None) is to be forgotten."""
        self._unsaved[key] = entry

    def stands(self, contact_at: float) -> None:
        """The copy holds all that is known, as of a contact."""
        self._unsaved.clear()
        self._stamped_at = contact_at

    def keep(self, *, epoch: str, claimed: bool, good_at: float | None, last: bool) -> None:
        """Write what is due; all of it, when it is the last time.

        `good_at` is when all that the store holds was last known, None while any is in doubt: a copy that tells of
        a contact holds all that was known by it, and nothing that was in doubt by then.
        """
        now = self._clock.elapsed()
        if good_at is None:
            good_at = self._stamped_at
        due = self._unsaved and (last or now - self._saved_at >= KEEP_SECONDS)
        if not (due or good_at - self._stamped_at >= STAMP_SECONDS or (last and good_at > self._stamped_at)):
            return
        keys = list(self._unsaved)[: None if last else KEEP_AT_ONCE]
        whole = len(keys) == len(self._unsaved)
        contact_at = good_at if whole else self._stamped_at
        contact = self._clock.moment(max(contact_at, now - 1e9))
        if self._copy.write({key: self._unsaved[key] for key in keys}, Source(epoch, claimed, contact)):
            for key in keys:
                del self._unsaved[key]
            self._stamped_at = contact_at
        if whole:
            self._saved_at = now

    def close(self) -> None:
        """Give the file back."""
        self._copy.close()
