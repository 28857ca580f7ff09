"""How many calls one account may still make to an API that blocks everything for minutes when there were too many."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Lock

from wire.kv.base import StoreUnavailableError


class Pace:
    """Counts calls in a sliding window, and knows until when the API asked to be left alone. Shared by threads."""

    def __init__(self, most: int, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._calls: deque[float] = deque()
        self._resumes = 0.0
        self._lock = Lock()

    def take(self) -> None:
        """Note one call that is about to be made. Raises StoreUnavailableError with the wait when it must not be."""
        with self._lock:
            now = self._clock()
            if now < self._resumes:
                wait = self._resumes - now
                raise StoreUnavailableError(f"Cloudflare asked for a pause of {wait:.0f} s more.", retry_after=wait)
            while self._calls and self._calls[0] <= now - self._seconds:
                self._calls.popleft()
            if len(self._calls) >= self._most:
                wait = self._calls[0] + self._seconds - now
                raise StoreUnavailableError(
                    f"{self._most} calls were made to Cloudflare in {self._seconds / 60:.0f} minutes; "
                    f"the next may be made in {wait:.0f} s.",
                    retry_after=wait,
                )
            self._calls.append(now)

    def pause(self, seconds: float) -> None:
        """Make no call for so long."""
        with self._lock:
            self._resumes = max(self._resumes, self._clock() + seconds)
