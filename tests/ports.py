"""Free ports for what a test starts."""

from __future__ import annotations

import random
import socket

_FIRST, _LAST = 12_000, 22_000


def free_port() -> int:
    """A port that nobody listens on, below those that the system hands out by itself.

    A server that ends and comes back on its port must find it free: amid the ephemeral ports (from 32768) somebody's
    connection may have taken it meanwhile, even a connection to itself. And a Redis of a cluster needs the port that is
    10,000 higher for its bus.
    """
    dice = random.SystemRandom()  # two workers begin with the same seed
    while True:
        port = dice.randint(_FIRST, _LAST)
        with socket.socket() as probe, socket.socket() as bus:
            try:
                probe.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        return port
