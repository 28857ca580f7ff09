"""When and as what a request arrived: the identity that its event, its answer and its log lines share."""

from __future__ import annotations

import time
from typing import NamedTuple

from gateway.incoming import Incoming
from wire.ids import event_id, event_id_ms


class Arrival(NamedTuple):
    """The arrival of one request."""

    event_id: str  # UUIDv7
    ms: int  # Unix time, the very millisecond that the event id begins with
    clock: float  # perf_counter, for durations
    request_id: str  # the caller's, or else the event's
    route: str

    @classmethod
    def of(cls, request: Incoming) -> Arrival:
        """Note a request's arrival now."""
        new = event_id()
        return cls(new, event_id_ms(new), time.perf_counter(), request.request_id or new, request.path)

    def since(self, clock: float) -> int:
        """Milliseconds from the arrival to a reading of perf_counter."""
        return round((clock - self.clock) * 1000)
