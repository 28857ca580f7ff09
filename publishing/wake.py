"""How the publisher learns that something was committed, without asking the outbox all the time."""

from __future__ import annotations

import threading
import time
from typing import Protocol

import psycopg
import structlog
from django.db import Error, connection

from changes.record import CHANNEL

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.02


class Waker(Protocol):
    """Waits for commits."""

    def look(self) -> None:
        """Remember how things stand now: what is committed from here on ends the next wait. Raises django.db.Error."""

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Return when something was committed since the last look, when asked to stop, or when the time is over. Raises
        django.db.Error.
        """

    def close(self) -> None:
        """Give resources back."""


def waker() -> Waker:
    """The one that fits the database."""
    return NotifyWaker() if connection.vendor == "postgresql" else DataVersionWaker()


class DataVersionWaker:
    """SQLite: `PRAGMA data_version` changes when another connection commits (some µs a look)."""

    def __init__(self) -> None:
        self._seen = self._version()

    def look(self) -> None:
        self._seen = self._version()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        deadline = time.monotonic() + seconds
        while self._version() == self._seen and time.monotonic() < deadline:
            if stop.wait(POLL_SECONDS):
                return

    def close(self) -> None:
        """Nothing to give back: the connection is Django's."""

    def _version(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA data_version")
            return int(cursor.fetchone()[0])


class NotifyWaker:
    """PostgreSQL: a connection of its own that listens. A notification that came since the last wait ends the next."""

    def __init__(self) -> None:
        self._listening: psycopg.Connection | None = None

    def look(self) -> None:
        if self._listening is None:
            with connection.wrap_database_errors:  # the driver's own are no errors that Django's users expect
                self._listening = self._listen()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        deadline = time.monotonic() + seconds
        try:
            self.look()
            while self._listening is not None and not stop.is_set() and time.monotonic() < deadline:
                # in short pieces, so that a signal is noticed
                if list(self._listening.notifies(timeout=min(0.2, seconds), stop_after=1)):
                    return
        except (psycopg.Error, Error) as error:
            log.warning("Notifications are interrupted; the sweep goes on", error=str(error))
            self.close()
        stop.wait(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def _listen(self) -> psycopg.Connection:
        parameters = connection.get_connection_params()
        wanted = {
            name: parameters[name] for name in ("host", "port", "user", "password", "dbname") if name in parameters
        }
        listening = psycopg.connect(**wanted, autocommit=True, connect_timeout=5)
        try:
            listening.execute(f"LISTEN {CHANNEL}")
        except BaseException:
            listening.close()
            raise
        return listening
