"""Hears of changes: a thread that listens to a namespace's channel, and comes back by itself when it was cut off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import redis

LOOK_SECONDS = 0.25  # how soon a listener notices that it is to stop
SILENCE_SECONDS = 10.0  # after so long without a word it asks whether the server is still there
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0  # seconds between two tries to come back


class Listener:
    """Calls `wake` at each message, and each time that it is connected again: something may have been missed.

    Listens from the start. Raises what the client raises when that cannot be done now.
    """

    def __init__(self, client: redis.Redis, channel: str, wake: Callable[[], None], *, timeout: float) -> None:
        self._client = client
        self._timeout = timeout  # seconds, for the answer to a subscription
        self._channel = channel
        self._wake = wake
        self._stopped = threading.Event()
        # the first subscription is made here, so that no change after this is missed
        self._thread = threading.Thread(
            target=self._listen_forever, args=(self._subscribed(),), name="redis-listener", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """After this `wake` is not called any more."""
        self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _subscribed(self) -> redis.client.PubSub:
        """A subscription that the server confirmed."""
        pubsub = self._client.pubsub()
        try:
            pubsub.subscribe(self._channel)
            message = pubsub.get_message(timeout=self._timeout)
            if message is None:
                raise redis.TimeoutError("The subscription was not confirmed.")
        except BaseException:
            pubsub.close()
            raise
        return pubsub

    def _listen_forever(self, pubsub: redis.client.PubSub | None) -> None:
        wait = FIRST_WAIT
        while not self._stopped.is_set():
            try:
                if pubsub is None:
                    pubsub = self._subscribed()
                    self._wake()
                wait = FIRST_WAIT
                self._listen(pubsub)
            except (redis.RedisError, redis.RedisClusterException, OSError):
                # whoever reads notices as well, and says so
                self._stopped.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT)
            if pubsub is not None:
                with suppress(redis.RedisError, OSError):
                    pubsub.close()
                pubsub = None

    def _listen(self, pubsub: redis.client.PubSub) -> None:
        """Until told to stop. Raises when the server is gone, or says nothing although it was asked."""
        heard, asked = time.monotonic(), False
        while not self._stopped.is_set():
            message = pubsub.get_message(timeout=LOOK_SECONDS)
            now = time.monotonic()
            if message is not None:
                heard, asked = now, False
                if message["type"] == "message":
                    self._wake()
            elif now - heard > SILENCE_SECONDS:
                if asked:
                    raise redis.TimeoutError("The server is silent.")
                pubsub.ping()
                heard, asked = now, True
