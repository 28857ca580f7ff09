"""Whether calls have been made that are not in ClickHouse yet."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from django.conf import settings

from wire.queues.base import USAGE


def calls_on_their_way(envs: Sequence[str] = ()) -> bool:
    """Whether usage events wait in a queue of these environments (of all, when none is named)."""
    for env in envs or settings.SPENDOPS.environments:
        with closing(settings.SPENDOPS.open_queue(USAGE, env)) as queue:
            depth = queue.depth()
        if depth.waiting or depth.in_flight:
            return True
    return False
