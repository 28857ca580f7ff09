"""Which events a re-rating is about, and where in them it is."""

from __future__ import annotations

from datetime import UTC, time, timedelta
from typing import Any, NamedTuple

from spend.models import Rerating
from spend.zones import ms_of
from wire.display import days


class Scope(NamedTuple):
    """Calls that arrived from `begin` on and before `end` (Unix ms). "" narrows nothing."""

    begin: int
    end: int
    tenant_id: str = ""
    provider: str = ""
    model: str = ""  # asked or priced
    unpriced_only: bool = False

    @classmethod
    def of(cls, job: Rerating) -> Scope:
        """A job's."""
        begin, end = ms_of(job.begin), ms_of(job.end)
        return cls(begin, end, job.tenant_id, job.provider, job.model, job.unpriced_only)


class Cursor(NamedTuple):
    """Everything before it is done: earlier tenants, the tenant's earlier hours, and in the hour what comes before
    a key's event. Events lie in ClickHouse in this very order.
    """

    tenant: str = ""
    hour: int = 0  # Unix ms
    key: str = ""
    event_id: str = ""  # "" when nothing of the hour is done

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Cursor:
        """As `Rerating.cursor` has it; the beginning, when it is empty."""
        return cls(**stored)


class Window(NamedTuple):
    """Whole hours of one tenant, from `begin` on and before `end` (Unix ms): about as many events as a block holds."""

    tenant: str
    begin: int
    end: int


def in_words(job: Rerating) -> str:
    """Which calls a job is about, such as "Unpriced calls of openai/acme-7b, 1 – 21 Nov 2026 UTC"."""
    calls = "Unpriced calls" if job.unpriced_only else "Calls"
    name = "/".join(part for part in (job.provider, job.model) if part)
    begin, end = job.begin.astimezone(UTC), job.end.astimezone(UTC)
    if begin.time() == end.time() == time():
        span = f"{days(begin.date(), end.date() - timedelta(days=1))} UTC"
    else:
        span = f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    return f"{calls}{f' of {name}' if name else ''}, {span}"
