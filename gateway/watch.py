"""Notices that a caller hung up. ASGI's `send` is silent about it, so somebody has to listen."""

from __future__ import annotations

import asyncio

from gateway.incoming import Receive


class CallerWatch:
    """Cancels the task that made it when the caller disconnects, until it is stopped."""

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A watch belongs to a task.")
        self._task = task
        self._receive = receive
        self._cancelled = False
        self._listener = asyncio.create_task(self._listen())

    def stop(self) -> None:
        """Stop listening. Do so before the answer's last byte: its end looks like a disconnect."""
        self._listener.cancel()

    def absorb(self) -> bool:
        """After a CancelledError: whether it was this watch's doing, in which case the task goes on."""
        if self._cancelled:
            self._cancelled = False
            return self._task.uncancel() == 0
        return False

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._cancelled = True
        self._task.cancel()
