"""What every queue can do. Delivery is at least once: consumers make the effect exactly once by the event's id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

USAGE = "usage-events"
DENIALS = "denial-events"


def queue_name(kind: str, env: str) -> str:
    """The name of an environment's queue, such as `usage-events-dev`."""
    return f"{kind}-{env}"


class Limits(NamedTuple):
    """How a queue delivers. After `retries` deliveries that were not acknowledged a message is put aside as dead."""

    batch: int = 5000
    retries: int = 20
    visibility_seconds: int = 15


class Message(NamedTuple):
    """A message in a consumer's hands, its own until the visibility time-out."""

    id: int
    body: bytes
    attempts: int  # this delivery included
    sent_ms: int  # when it was sent, Unix ms


class Depth(NamedTuple):
    """How full a queue is.

    `oldest_ms` is when the oldest message that is not dead was sent (Unix ms), 0 when there is none; `oldest_dead_ms`
    the same of those that are dead.
    """

    waiting: int
    in_flight: int
    dead: int
    oldest_ms: int
    oldest_dead_ms: int


class Queue(Protocol):
    """One named queue of one environment. Several threads may use it at once."""

    limits: Limits

    def send(self, bodies: Sequence[bytes]) -> None:
        """Add messages; when this returns they survive the death of the machine."""

    def claim(self, most: int | None = None) -> list[Message]:
        """Take messages, those first that wait longest for this delivery, hidden from others until the time-out."""

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Remove messages whose effect is stored."""

    def release(self, messages: Sequence[Message], *, delay_seconds: int = 0) -> None:
        """Hand messages back, to be delivered again after a delay. This delivery then does not count."""

    def bury(self, messages: Sequence[Message], reason: str) -> None:
        """Put messages aside as dead at once: they can never be understood, or stored."""

    def redeliver_dead(self) -> int:
        """Put dead messages back, to be delivered as if for the first time. How many."""

    def depth(self) -> Depth:
        """How full the queue is."""

    def close(self) -> None:
        """Give the queue's resources back."""
