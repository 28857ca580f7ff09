"""Which tags a tenant's calls carried."""

from __future__ import annotations

from dataclasses import replace

from spend.clickhouse.client import ask
from spend.queries.slices import Slice, single_events

NAMES_MOST = 200


def tags_used(tenant_id: str, of: Slice) -> list[str]:
    """The names of tags on the calls of a slice's days, in order. Its filters do not matter, but the keys' do."""
    where = single_events(tenant_id, replace(of, only={}, without={}))
    sql = (
        "SELECT DISTINCT arrayJoin(mapKeys(tags)) AS tag FROM usage_events"  # noqa: S608 - the same of every revision
        f" WHERE {where} ORDER BY tag LIMIT %(most)s"
    )
    rows = ask(sql, where.parameters | {"most": NAMES_MOST}, tenant_id=tenant_id, purpose="tags used")
    return [row[0] for row in rows]
