"""Waiting for a store that asks to be left alone for a while: a backup may take its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from publishing.errors import NamespaceRefusedError
from wire.env import SettingError
from wire.kv.base import DocumentRefusedError, StoreRefusedError, StoreUnavailableError

STORE_ERRORS = (StoreUnavailableError, StoreRefusedError, DocumentRefusedError, NamespaceRefusedError, SettingError)
WAITS_MOST = 600.0  # seconds in all

Answer = TypeVar("Answer")


class Patience:
    """How long somebody still waits for a store."""

    def __init__(self, seconds: float = WAITS_MOST) -> None:
        self._left = seconds

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """Ask again when the store named a time to do so. Raises what the store raises when it named none, or when it
        is longer than the patience that is left.
        """
        while True:
            try:
                return question()
            except StoreUnavailableError as error:
                if not 0 < error.retry_after <= self._left:
                    raise
                self._left -= error.retry_after
                time.sleep(error.retry_after)
