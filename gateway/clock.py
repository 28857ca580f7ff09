"""How much time has passed, said so that a step of the wall clock does not matter where that can be avoided."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_elapsed = partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
_SLACK_SECONDS = 60.0  # that clocks of one machine may differ by between two starts


class Moment(NamedTuple):
    """A moment that another process can tell the age of. `elapsed` is only comparable within the same `boot`."""

    wall: float
    elapsed: float
    boot: str


class Clock:
    """The machine's clocks."""

    def __init__(self) -> None:
        self._boot = ""
        with suppress(OSError):
            self._boot = _BOOT_ID.read_text(encoding="ascii").strip()

    def elapsed(self) -> float:
        """Seconds that only grow and that count while the machine sleeps, where it can tell."""
        return _elapsed()

    def wall(self) -> float:
        """Unix time."""
        return time.time()

    def moment(self, elapsed: float) -> Moment:
        """The moment at which `elapsed()` said this."""
        return Moment(self.wall() - (self.elapsed() - elapsed), elapsed, self._boot)

    def since(self, moment: Moment) -> float | None:
        """Seconds since a moment of this process or an earlier one; None when that cannot be told.

        Since the machine was started, by a clock that nobody sets. Else by the wall clock; a moment that lies in its
        future tells that it was set back, so nothing is known of the time between.
        """
        if moment.boot and moment.boot == self._boot:
            return max(self.elapsed() - moment.elapsed, 0.0)
        passed = self.wall() - moment.wall
        return None if passed < -_SLACK_SECONDS else max(passed, 0.0)
