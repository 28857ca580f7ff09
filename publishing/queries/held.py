"""What waits for a person's word."""

from __future__ import annotations

from publishing.models import KvEntry


def held_entries(env: str) -> list[KvEntry]:
    """The documents that a guard holds back and that may be confirmed."""
    rows = KvEntry.objects.filter(env=env, parked=True).exclude(held="")
    return list(rows.defer("body").order_by("key", "store"))
